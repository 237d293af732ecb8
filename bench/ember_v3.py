"""Vectors of ember-v3: how fast, on what, and how far from the limit and from the reference.

    python bench/ember_v3.py
    python bench/ember_v3.py --reference CHECKOUT [--reference-python PYTHON]

It fetches the wheels of bench/wheels.csv and takes the PE files inside. Baselines of the same run:
reading, sha256 and TLSH of the same bytes (the limit); plain processes without limits, for the
sandbox; and, where a checkout of the reference is given (the folder with src/thrember, and an
interpreter that has what it needs), the reference file by file beside ours, vectors compared bit for
bit. CPU time is that of one process. Exit status 1 if a bar (not a goal) is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tlsh
from common import table
from common.peak_memory import peak_memory
from common.reference import Reference
from common.stopwatch import Stopwatch
from common.throughput import plain, sandboxed
from common.wheels import CACHE, Sample, samples

from corpus import features
from corpus.features import FeatureSet

LARGE = 8_000_000
BAR, GOAL = 25.0, 50.0
SANDBOX_BAR = 0.8
MEMORY_BAR = 200_000_000

Kinds = dict[str, list[Sample]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the wheels are kept")
    parser.add_argument("--limit", type=int, metavar="N", help="a random sample of N files")
    parser.add_argument("--seed", type=int, default=1, help="seed of random samples")
    parser.add_argument(
        "--repeat", type=int, default=2, help="runs of the sandbox; the best counts"
    )
    parser.add_argument("--reference", type=Path, metavar="CHECKOUT", help="also time this one")
    parser.add_argument(
        "--reference-python",
        type=Path,
        metavar="PYTHON",
        help="its interpreter; CHECKOUT/.venv/bin/python if not given",
    )
    parser.add_argument(
        "--reference-files", type=int, metavar="N", help="at most so many files of each kind for it"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="leave the figures here")
    options = parser.parse_args()
    if options.reference and not options.reference_python:
        options.reference_python = options.reference / ".venv" / "bin" / "python"
    if options.reference and not options.reference_python.is_file():
        parser.error(f"there is no {options.reference_python}: name one by --reference-python.")

    chance = random.Random(options.seed)
    found = samples(options.cache)
    if options.limit:
        found = chance.sample(found, min(options.limit, len(found)))
    small, large = f"at most {LARGE / 1e6:.0f} MB", f"over {LARGE / 1e6:.0f} MB"
    kinds: Kinds = {
        small: [sample for sample in found if sample.size <= LARGE],
        large: [sample for sample in found if sample.size > LARGE],
    }
    kinds = {kind: some for kind, some in kinds.items() if some}
    ours = features.get("ember-v3").load()
    figures: dict[str, Any] = {"benchmark": "ember_v3"}
    figures["one_core"] = one_core(ours, kinds)
    figures["profile"] = profile(ours, kinds)
    figures["processes"] = processes(ours, kinds.get(small, found), options.repeat)
    figures["memory"] = memory(ours, found)
    if options.reference:
        figures["reference"] = beside(
            ours,
            kinds,
            options.reference,
            options.reference_python,
            options.reference_files,
            chance,
        )
    figures["missed"] = _missed
    table.leave(options.json, figures)
    if _missed:
        raise SystemExit(f"Missed: {'; '.join(_missed)}.")


def one_core(ours: FeatureSet, kinds: Kinds) -> dict[str, Any]:
    """CPU time of vectors against that of reading, sha256 and TLSH: the limit."""
    print("CPU time on one core, without the sandbox\n")
    rows: list[list[Any]] = []
    figures: dict[str, Any] = {}
    for kind, some in kinds.items():
        ours.vector(some[0].path.read_bytes())
        vectors = digests = 0.0
        for sample in some:
            began = time.process_time()
            data = sample.path.read_bytes()
            hashlib.sha256(data).digest()
            tlsh.hash(data)
            digests += time.process_time() - began
            vectors += _spent(ours.vector, data)
        size = sum(sample.size for sample in some) / 1e6
        for name, seconds in (("vectors", vectors), ("read + sha256 + TLSH", digests)):
            rows.append(
                [f"{kind}: {name}", len(some), size, seconds, len(some) / seconds, size / seconds]
            )
        figures[kind] = {
            "files": len(some),
            "mb": size,
            "files_per_s": len(some) / vectors,
            "mb_per_s": size / vectors,
            "times_the_limit": vectors / digests,
        }
    table.show(["", "files", "MB", "seconds", "files/s", "MB/s"], rows)
    for kind, figure in figures.items():
        print(f"{kind}: {figure['times_the_limit']:.2f} times the limit")
    return figures


def _spent(function: Callable[[bytes], object], data: bytes) -> float:
    began = time.process_time()
    function(data)
    return time.process_time() - began


def profile(ours: FeatureSet, kinds: Kinds) -> dict[str, Any]:
    """Where the CPU time goes."""
    figures: dict[str, dict[str, float]] = {}
    unknown: list[str] = []
    for kind, some in kinds.items():
        stopwatch = Stopwatch()
        for sample in some:
            stopwatch.run(ours.vector, sample.path.read_bytes())
        stopwatch.close()
        figures[kind], unknown = dict(stopwatch.spent), stopwatch.unknown
    print("\nCPU time by part\n")
    _show_shares(figures)
    if unknown:
        print(f"In the rest, since no longer there under this name: {', '.join(unknown)}.")
    return figures


def _show_shares(seconds: dict[str, dict[str, float]]) -> None:
    totals = {kind: sum(parts.values()) for kind, parts in seconds.items()}
    order = sorted(next(iter(seconds.values())), key=lambda part: -seconds[min(seconds)][part])
    columns = [text for kind in seconds for text in (f"{kind}: s", "%")]
    rows = [
        [
            part,
            *(v for k in seconds for v in (seconds[k][part], 100 * seconds[k][part] / totals[k])),
        ]
        for part in order
    ]
    table.show(["", *columns], rows)


def processes(ours: FeatureSet, some: Sequence[Sample], repeat: int) -> dict[str, Any]:
    """Wall-clock speed over processes, with the sandbox's limits and without."""
    cores = len(os.sched_getaffinity(0))
    counts = sorted({1, cores, *(2**power for power in range(cores.bit_length()))} - {0})
    rows: list[list[Any]] = []
    figures: dict[int, dict[str, float]] = {}
    for jobs in [count for count in counts if count <= cores]:
        # In turns, so that both have the same machine.
        times = [
            (sandboxed(ours.name, some, jobs), plain(ours.name, some, jobs)) for _ in range(repeat)
        ]
        limited, free = (len(some) / min(column) for column in zip(*times, strict=True))
        first = figures.get(1, {"files_per_s": limited})["files_per_s"]
        efficiency = limited / first / jobs
        figures[jobs] = {"files_per_s": limited, "without": free, "efficiency": efficiency}
        rows.append([f"{jobs} job{'s' * (jobs > 1)}", limited, free, limited / free, efficiency])
    print(f"\nWall-clock files/s over processes, {len(some)} files, best of {repeat}\n")
    table.show(["", "sandbox", "no limits", "share", "efficiency"], rows)
    for jobs, figure in figures.items():
        share = figure["files_per_s"] / figure["without"]
        _judge(f"{jobs} jobs with limits: {share:.0%} of without", share >= SANDBOX_BAR, "80%")
    return {str(jobs): figure for jobs, figure in figures.items()}


def memory(ours: FeatureSet, found: Sequence[Sample], largest: int = 5) -> dict[str, Any]:
    """Peak memory of a fresh process for each of the largest files, a middling and the smallest."""
    by_size = sorted(found, key=lambda sample: -sample.size)
    chosen = [*by_size[:largest], by_size[len(by_size) // 2], by_size[-1]]
    empty = peak_memory(ours.name)
    rows: list[list[Any]] = []
    figures: list[dict[str, Any]] = []
    for sample in chosen:
        peak = peak_memory(ours.name, sample.path)
        bar = MEMORY_BAR + 2 * sample.size
        figures.append({"sha256": sample.sha256, "size": sample.size, "peak": peak, "bar": bar})
        rows.append([sample.sha256[:16], sample.size / 1e6, peak / 1e6, bar / 1e6])
    print(f"\nPeak memory in MB; {empty / 1e6:.0f} MB before a file is read\n")
    table.show(["file", "size", "peak", "bar"], rows)
    worst = max(figure["peak"] / figure["bar"] for figure in figures)
    _judge(f"peak at most {worst:.0%} of the bar", worst <= 1, "200 MB + twice the file")
    return {"loaded": empty, "files": figures}


def beside(
    ours: FeatureSet,
    kinds: Kinds,
    checkout: Path,
    python: Path,
    at_most: int | None,
    chance: random.Random,
) -> dict[str, Any]:
    """Ours and the reference on the same files in turns: CPU time, profile, and every bit."""
    figures: dict[str, Any] = {}
    profiles: dict[str, dict[str, float]] = {}
    rows, differing, failed, compared = [], [], [], 0
    with Reference(checkout, python) as reference:
        for kind, some in kinds.items():
            chosen = chance.sample(some, min(at_most or len(some), len(some)))
            spent: Counter[str] = Counter()
            own = 0.0
            for number, sample in enumerate(chosen, 1):
                data = sample.path.read_bytes()
                own += _spent(ours.vector, data)
                answer = reference.ask(sample.path)
                spent.update(answer.cpu_s)
                if answer.vector is None:
                    failed.append(f"{sample.sha256}: {answer.error}")
                else:
                    compared += 1
                    if ours.vector(data).astype("<f4").tobytes() != answer.vector.tobytes():
                        differing.append(sample.sha256)
                if number % 50 == 0:
                    print(f"reference: {number} of {len(chosen)} files {kind}", flush=True)
            theirs = sum(spent.values())
            size = sum(sample.size for sample in chosen) / 1e6
            for name, seconds in (("reference", theirs), ("ours", own)):
                rows.append(
                    [
                        f"{kind}: {name}",
                        len(chosen),
                        size,
                        seconds,
                        len(chosen) / seconds,
                        size / seconds,
                    ]
                )
            figures[kind] = {
                "files": len(chosen),
                "reference_s": theirs,
                "ours_s": own,
                "ratio": theirs / own,
            }
            profiles[kind] = {name: spent[name] for name in ("pefile", *reference.groups, "sha256")}
    print("\nCPU time on one core beside the reference\n")
    table.show(["", "files", "MB", "seconds", "files/s", "MB/s"], rows)
    print("\nCPU time of the reference by group\n")
    _show_shares(profiles)
    print()
    for kind, figure in figures.items():
        _judge(
            f"{kind}: {figure['ratio']:.1f} times the reference",
            figure["ratio"] >= BAR,
            f"{BAR:.0f}x",
        )
        print(f"  goal {GOAL:.0f}x: {'met' if figure['ratio'] >= GOAL else 'not met'}")
    _judge(f"{compared - len(differing)} of {compared} vectors equal", not differing, "all")
    for sha256 in differing[:20]:
        print(f"  differs: {sha256}")
    for line in failed[:20]:
        print(f"  the reference fails on {line}")
    return {
        "kinds": figures,
        "profile": profiles,
        "compared": compared,
        "differing": differing,
        "failed": failed,
    }


_missed: list[str] = []


def _judge(what: str, met: bool, bar: str) -> None:
    print(f"{what}, bar {bar}: {'met' if met else 'MISSED'}")
    if not met:
        _missed.append(f"{what}, bar {bar}")


if __name__ == "__main__":
    main()
