"""What the sandbox's barriers cost: files per second with all of them, and with those of a baseline.

    python bench/sandbox_barriers.py [--baseline CHECKOUT] [FILE...]

The baseline is this checkout without Landlock and without the filter of system calls, or another
checkout, an older commit's for example. Each pair is one run of either, in fresh processes, with the
order changed from pair to pair; the median of the pairs' ratios counts. The files are the launchers and
libraries that the environment brings unless others are named, read over and over until there are --count
of them. CPU time is that of parent, template and children together. Exit status 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from common import table

REPO = Path(__file__).resolve().parents[1]
BAR = 0.9
_RUN = """
import json, os, resource, sys, time
from corpus.sandbox import Sandbox

order = json.loads(sys.argv[1])
options = {}
if order["barriers"] is not None:
    from corpus.sandbox.barriers import Barriers
    options["barriers"] = Barriers(**order["barriers"])
payloads = [open(path, "rb").read() for path in order["files"]]
items = [(str(i), payloads[i % len(payloads)]) for i in range(order["count"])]

def cpu():
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))

with Sandbox(
    "corpus.features.sandboxed:vectorizer", jobs=order["jobs"],
    recycle_after=order["recycle_after"], factory_arguments=[order["set"]], **options
) as box:
    assert not [o for o in box.map(items[: 4 * order["jobs"]]) if o.reason]
    began = time.perf_counter()
    failed = [o for o in box.map(items) if o.reason]
    seconds = time.perf_counter() - began
assert not failed, failed[0]
print(json.dumps([seconds, cpu()]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--baseline", type=Path, metavar="CHECKOUT", help="compare with this one")
    parser.add_argument("--set", default="ember-v3", help="feature set (default: ember-v3)")
    parser.add_argument("--count", type=int, default=3_000, metavar="N", help="files of a run")
    parser.add_argument("--jobs", type=int, default=2, help="child processes")
    parser.add_argument("--recycle-after", type=int, default=1_000, help="files of a child")
    parser.add_argument("--pairs", type=int, default=6, help="an even number, for both orders")
    parser.add_argument("--json", type=Path, metavar="FILE", help="leave the figures here")
    options = parser.parse_args()

    table.show_load()
    order: dict[str, Any] = {
        "files": [str(path.resolve()) for path in options.files or _executables()],
        "count": options.count,
        "jobs": options.jobs,
        "recycle_after": options.recycle_after,
        "set": options.set,
        "barriers": None,
    }
    sides = {
        "all barriers": (REPO, order),
        "baseline": (
            (options.baseline.resolve(), order)
            if options.baseline
            else (REPO, {**order, "barriers": {"landlock": 0, "system_calls": False}})
        ),
    }
    rows = []
    for pair in range(options.pairs):
        found = {name: _run(*sides[name]) for name in sorted(sides, reverse=bool(pair % 2))}
        (wall, cpu), (wall_before, cpu_before) = found["all barriers"], found["baseline"]
        rows.append([pair + 1, *(found["all barriers"]), *(found["baseline"])])
        rows[-1] += [wall_before / wall, cpu_before / cpu]
    table.show(["pair", "s", "CPU s", "baseline s", "CPU s", "throughput", "by CPU"], rows)
    shares = [statistics.median(column) for column in list(zip(*rows, strict=True))[-2:]]
    print(f"\nthroughput {shares[0]:.1%} of the baseline's, {shares[1]:.1%} by CPU time (medians)")
    figures = {"benchmark": "sandbox_barriers", "throughput": shares[0], "by_cpu": shares[1]}
    table.leave(options.json, {**figures, "pairs": rows})
    if min(shares) < BAR:
        raise SystemExit(f"Missed: the bar is {BAR:.0%}.")


def _executables() -> list[Path]:
    sys.path.append(str(REPO))
    from tests.support.executables import real_elfs, real_pes

    return [*real_pes(), *real_elfs()]


def _run(checkout: Path, order: dict[str, Any]) -> tuple[float, float]:
    """Seconds by the clock for the files, and CPU seconds of everything, in fresh processes."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, json.dumps(order)],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        cwd=checkout,
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, cpu = json.loads(done.stdout)
    return seconds, cpu


if __name__ == "__main__":
    main()
