"""Extraction of the bench corpus by two workers against one, each worker on a core of its own.

    python bench/worker_scaling.py
    python bench/worker_scaling.py --runner docker    in containers

The corpus is made of the executables inside the wheels of bench/wheels.csv, collected and ingested
beforehand and cut for two workers. A worker takes shard after shard, as a worker of the cluster does;
what it runs stays on its core. Baseline of the same run: one such worker, in turns with the two.
Exit status 1 if the bar is missed.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common import pinned, table
from common.pinned import PinnedUpdate, Task
from common.wheels import CACHE, samples

WORKERS = 2
BAR = 1.7
SETS = ["ember-v3"]


@dataclass
class Side:
    """What so many workers took: seconds of every run, and the tasks of the last by their shards."""

    seconds: list[float] = field(default_factory=list)
    tasks: dict[str, Task] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


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
    table.show_load()
    found = samples(options.cache)
    if options.limit:
        found = random.Random(options.seed).sample(found, min(options.limit, len(found)))
    with tempfile.TemporaryDirectory(prefix="scaling-", dir=options.cache) as name:
        files = pinned.sources(Path(name, "files"), found)
        update = PinnedUpdate(Path(name, "update"), files, SETS, WORKERS, options.runner)
        shards = update.collect(cores[0])
        update.each("ingest", shards, cores)
        sizes = shard_sizes(update, shards)
        one, two = measure(update, shards, cores, options.repeat)
    ratio = one.median / two.median
    count, size = len(found), sum(sizes.values()) / 1e6
    print(f"\n{count} files, {size:.0f} MB, {', '.join(SETS)}, by the {options.runner} runner;")
    print(f"medians of {options.repeat}\n")
    table.show(
        ["workers", "seconds", "files/s", "all seconds"],
        [
            [str(workers), side.median, count / side.median, _listed(side.seconds)]
            for workers, side in ((1, one), (WORKERS, two))
        ],
    )
    print("\nThe last run of each:\n")
    table.show(
        ["shard", "MB", "alone, s", "beside the other, s", "core"],
        [
            [shard, sizes[shard] / 1e6, one.tasks[shard].seconds, task.seconds, task.core]
            for shard, task in sorted(two.tasks.items())
        ],
    )
    at_most = limit([one.tasks[shard].seconds for shard in shards])
    print(f"\n{ratio:.2f} times one worker, bar {BAR}: {'met' if ratio >= BAR else 'MISSED'};")
    print(f"as the shards are cut, {at_most:.2f} times is the most that two can do")
    table.leave(
        options.json,
        {
            "benchmark": "worker_scaling",
            "runner": options.runner,
            "files": count,
            "mb": size,
            "shards_mb": {shard: bytes_ / 1e6 for shard, bytes_ in sizes.items()},
            "seconds": {"1": one.seconds, str(WORKERS): two.seconds},
            "ratio": ratio,
            "at_most": at_most,
            "bar": BAR,
        },
    )
    if ratio < BAR:
        raise SystemExit(1)


def measure(
    update: PinnedUpdate, shards: Sequence[str], cores: Sequence[int], repeat: int
) -> tuple[Side, Side]:
    """Runs by one worker and by all, in turns."""
    # Blobs into memory, and kernels compiled where they were not: by neither side's clock.
    update.each("extract", shards, cores)
    one, all_ = Side(), Side()
    for number in range(1, repeat + 1):
        for side, workers in ((one, cores[:1]), (all_, cores)):
            update.forget_vectors(SETS)
            began = time.perf_counter()
            tasks = update.each("extract", shards, workers)
            side.seconds.append(time.perf_counter() - began)
            side.tasks = {task.shard: task for task in tasks}
        print(f"{number}: {one.seconds[-1]:.1f} s by one, {all_.seconds[-1]:.1f} s by all")
    return one, all_


def shard_sizes(update: PinnedUpdate, shards: Sequence[str]) -> dict[str, int]:
    """Bytes of the samples of each shard."""
    made = update.opened()
    return {shard: sum(made.samples_of(shard)["size"].to_pylist()) for shard in shards}


def limit(alone: Sequence[float], workers: int = WORKERS) -> float:
    """How many times one worker so many can do that are in nobody's way.

    `alone` is the seconds of each shard, in their order: whoever is free takes the next.
    """
    busy = [0.0] * workers
    for seconds in alone:
        busy[busy.index(min(busy))] += seconds
    return sum(alone) / max(busy)


def _listed(seconds: Sequence[float]) -> str:
    return " ".join(f"{second:.1f}" for second in seconds)


if __name__ == "__main__":
    main()
