"""Fuzz all feature sets with mutated PE and ELF files.

    python -m tests.support.fuzz --seed 1 --count 20000 [FILE...]
    python -m tests.support.fuzz --seed 1 --first 4711 --count 1        one case again

Each file is mutated in ways that aim at one structure of its format. Checked is that nothing crashes,
hangs, swells or gives anything but finite numbers; that raw features, also stored as JSON, give the
vector that the file gives; and that the fast readers read what pefile reads wherever they vouch for a
file. Cases that fail are kept, with how they were made. A run that was stopped goes on with --first.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

from corpus import features
from tests.support.fuzz.cases import base_files, case
from tests.support.fuzz.checks import check

BLOCK = 250
CPU_LIMIT_S = 20
# A kernel does not hear the alarm, but this ends its process.
SILENCE_LIMIT_S = 300
# Of what a file adds to an interpreter that has the sets loaded: twice its size, and this.
MEMORY_LIMIT = 60_000_000


class HangError(Exception):
    """A file took too long."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="mutate these, too")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--first", type=int, default=0, metavar="N", help="number of the first case"
    )
    parser.add_argument("--count", type=int, default=20_000, metavar="N", help="how many cases")
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="read every N-th also by the second way"
    )
    parser.add_argument(
        "--keep", type=Path, default=Path(".work/fuzz"), help="failed cases go here"
    )
    parser.add_argument("--keep-refused", action="store_true", help="keep files that are refused")
    options = parser.parse_args()
    for path in options.files:
        if not path.is_file():
            parser.error(f"there is no file {path}")
    # Before the processes that do the work are forked.
    for name in features.names():
        features.get(name).load()
    run = _Run(options)
    for first in range(options.first, options.first + options.count, BLOCK):
        run.block(first, min(first + BLOCK, options.first + options.count))
    return run.report()


class _Run:
    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.unusual: Counter[str] = Counter()
        self.failed: list[str] = []
        self.peak = 0

    def block(self, first: int, stop: int) -> None:
        """Cases in a process of their own; one that dies costs one case."""
        context = get_context("fork")
        while first < stop:
            receiver, sender = context.Pipe(duplex=False)
            worker = context.Process(target=_work, args=(self.options, first, stop, sender))
            worker.start()
            sender.close()
            try:
                while first < stop:
                    if not receiver.poll(SILENCE_LIMIT_S):
                        worker.kill()
                        self._fail(first, ["no answer"])
                        first += 1
                        break
                    self._count(first, receiver.recv())
                    first += 1
            except EOFError:
                worker.join()
                self._fail(first, [f"the process died: {worker.exitcode}"])
                first += 1
            worker.join()
        print(
            f"{stop - self.options.first} done, {len(self.failed)} failed",
            file=sys.stderr,
            flush=True,
        )

    def _count(self, number: int, answer: dict[str, object]) -> None:
        self.counts["files"] += 1
        for name in ("pe", "elf", "compared"):
            self.counts[name] += bool(answer[name])
        if answer["refused"]:
            self.refused[str(answer["refused"])[:90]] += 1
        if answer["unusual"]:
            self.unusual[str(answer["unusual"])[:60]] += 1
        self.peak = max(self.peak, int(str(answer["peak"])))
        if answer["problems"]:
            self._fail(number, list(map(str, answer["problems"])))  # type: ignore[call-overload]

    def _fail(self, number: int, problems: Sequence[str]) -> None:
        for problem in problems:
            self.failed.append(f"{number}: {problem}")
            print(f"seed {self.options.seed} case {number}: {problem}", flush=True)

    def report(self) -> int:
        print(dict(self.counts), f"at most {self.peak / 1e6:.0f} MB for a file, without its size")
        print("refused:", self.refused.most_common(30))
        print("left to pefile:", sum(self.unusual.values()), self.unusual.most_common(60))
        print(f"{len(self.failed)} problems")
        return 1 if self.failed else 0


def _work(options: argparse.Namespace, first: int, stop: int, sender: Connection) -> None:
    faulthandler.enable()
    signal.signal(signal.SIGPROF, _alarm)
    bases = base_files(options.files)
    for number in range(first, stop):
        made = case(options.seed, number, bases)
        before = _reset_peak()
        signal.setitimer(signal.ITIMER_PROF, CPU_LIMIT_S)
        answer: dict[str, object] = {"refused": "", "unusual": "", "compared": False}
        try:
            outcome = check(made.data, thorough=number % options.every == 0)
            answer |= vars(outcome)
        except HangError:
            answer["problems"] = [f"more than {CPU_LIMIT_S} s"]
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        swelling = _resident("VmHWM") - before - len(made.data)
        if swelling > MEMORY_LIMIT:
            answer["problems"] = [*answer["problems"], f"swells by {swelling} bytes"]  # type: ignore[misc]
        if answer["problems"] or (options.keep_refused and answer["refused"]):
            options.keep.mkdir(parents=True, exist_ok=True)
            name = hashlib.sha256(made.data).hexdigest()
            (options.keep / name).write_bytes(made.data)
            (options.keep / f"{name}.txt").write_text(
                f"seed {options.seed} case {number}: {made.base} {made.recipe}\n{answer}\n"
            )
        answer |= {
            "peak": swelling,
            "pe": made.data[:2] == b"MZ",
            "elf": made.data[:4] == b"\x7fELF",
        }
        sender.send(answer)
    os._exit(0)


def _alarm(number: int, frame: FrameType | None) -> None:
    raise HangError


def _reset_peak() -> int:
    """Begin a new peak; the resident memory now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _resident("VmRSS")


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


if __name__ == "__main__":
    sys.exit(main())
