"""Extraction of the bench corpus by two workers against one, each worker on a core of its own.

    python bench/worker_scaling.py
    python bench/worker_scaling.py --runner docker    in containers

The corpus is made of the executables inside the wheels of bench/wheels.csv, collected and ingested
beforehand and cut for two workers. A worker takes shard after shard, as a worker of the cluster does;
what it runs stays on its core. Baseline of the same run: one such worker, in turns with the two.
Exit status 1 where the bar is missed.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from common import pinned, table
from common.pinned import PinnedUpdate, Task
from common.wheels import CACHE, samples

WORKERS = 2
BAR = 1.7
SETS = ["ember-v3"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the wheels are kept")
    parser.add_argument("--limit", type=int, metavar="N", help="a random sample of N files")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random sample")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each; medians count")
    parser.add_argument("--runner", choices=["process", "docker"], default="process")
    parser.add_argument("--json", type=Path, metavar="FILE", help="leave the figures here")
    options = parser.parse_args()
    cores = pinned.cores(WORKERS)
    found = samples(options.cache)
    if options.limit:
        found = random.Random(options.seed).sample(found, min(options.limit, len(found)))
    with tempfile.TemporaryDirectory(prefix="scaling-", dir=options.cache) as name:
        files = pinned.sources(Path(name, "files"), found)
        update = PinnedUpdate(Path(name, "update"), files, SETS, WORKERS, options.runner)
        shards = update.collect(cores[0])
        update.each("ingest", shards, cores)
        sizes = shard_sizes(update, shards)
        one, two, tasks = measure(update, shards, cores, options.repeat)
    ratio = statistics.median(one) / statistics.median(two)
    count, size = len(found), sum(sizes.values()) / 1e6
    print(f"\n{count} files, {size:.0f} MB, {', '.join(SETS)}, by the {options.runner} runner;")
    print(f"medians of {options.repeat}\n")
    table.show(
        ["workers", "seconds", "files/s", "all seconds"],
        [
            [str(workers), statistics.median(s), count / statistics.median(s), _listed(s)]
            for workers, s in ((1, one), (WORKERS, two))
        ],
    )
    print("\nThe last run of two:\n")
    table.show(
        ["shard", "MB", "core", "seconds"],
        [[task.shard, sizes[task.shard] / 1e6, task.core, task.seconds] for task in tasks],
    )
    # What no runner could help: that a shard is done by one worker.
    uneven = limit(tasks)
    print(f"\n{ratio:.2f} times one worker, bar {BAR}: {'met' if ratio >= BAR else 'MISSED'};")
    print(f"as the shards are cut, {uneven:.2f} times is the most that two can do")
    table.leave(
        options.json,
        {
            "benchmark": "worker_scaling",
            "runner": options.runner,
            "files": count,
            "mb": size,
            "shards_mb": {shard: bytes_ / 1e6 for shard, bytes_ in sizes.items()},
            "seconds": {"1": one, str(WORKERS): two},
            "ratio": ratio,
            "at_most": uneven,
            "bar": BAR,
        },
    )
    if ratio < BAR:
        raise SystemExit(1)


def measure(
    update: PinnedUpdate, shards: Sequence[str], cores: Sequence[int], repeat: int
) -> tuple[list[float], list[float], list[Task]]:
    """Seconds of all runs by one and by all workers, and the tasks of the last of these."""
    # Blobs into memory, and kernels compiled where they were not: by neither side's clock.
    update.each("extract", shards, cores)
    one: list[float] = []
    two: list[float] = []
    for number in range(1, repeat + 1):
        for workers, times in ((cores[:1], one), (cores, two)):
            update.forget_vectors(SETS)
            began = time.perf_counter()
            tasks = update.each("extract", shards, workers)
            times.append(time.perf_counter() - began)
        print(f"{number}: {one[-1]:.1f} s by one, {two[-1]:.1f} s by two", flush=True)
    return one, two, tasks


def shard_sizes(update: PinnedUpdate, shards: Sequence[str]) -> dict[str, int]:
    """Bytes of the samples of each shard."""
    made = update.opened()
    return {shard: sum(made.samples_of(shard)["size"].to_pylist()) for shard in shards}


def limit(tasks: Sequence[Task]) -> float:
    """All seconds of the tasks over those of the worker who was busy longest."""
    by_core: dict[int, float] = {}
    for task in tasks:
        by_core[task.core] = by_core.get(task.core, 0.0) + task.seconds
    return sum(by_core.values()) / max(by_core.values())


def _listed(seconds: Sequence[float]) -> str:
    return " ".join(f"{second:.1f}" for second in seconds)


if __name__ == "__main__":
    main()
