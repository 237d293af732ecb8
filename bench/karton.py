"""Ingest and extraction by two workers against Karton with two consumers, on the same files.

    python bench/karton.py
    python bench/karton.py --runner docker    our services in containers

The files are the executables inside the wheels of bench/wheels.csv. Karton (bench/karton.lock, brought
on the first run) has a Redis, an S3 server and karton-system beside its consumers; each file is a task
with the file as a resource, and its identity and vectors come back as another. Timed from the first
push to the last result. Ours are `collect`, `ingest` and `extract` as the DAG runs them, timed from the
start of the first to the end of the last, starts of interpreters included. Either side has two cores,
and its two workers or consumers are pinned to one each; all else that it needs shares them. Work,
vectors and identities are the same, and compared.

Karton is not measured at its worst: nothing of it is synced to the disk, no file is sandboxed, its
consumers are up and warm, and garbage collection, task tracking and log publishing are off.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import pinned, table
from common.karton_stack import KartonRun, KartonStack, install
from common.wheels import CACHE, Sample, samples

WORKERS = 2
GOAL = 2.0
_WARM_UP = 16
_IDENTITY = ["sha256", "md5", "size", "file_type", "arch", "tlsh", "imphash"]

# Identity of a file and a digest of its vectors, by its sha256.
Found = dict[str, Mapping[str, Any]]


@dataclass(frozen=True)
class OurRun:
    """Seconds of each service and of all, and CPU seconds of the machine meanwhile."""

    services: dict[str, float]
    seconds: float
    busy_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the wheels are kept")
    parser.add_argument("--limit", type=int, metavar="N", help="a random sample of N files")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random sample")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each; medians count")
    parser.add_argument("--feature-sets", nargs="+", default=["ember-v3"], metavar="NAME")
    parser.add_argument("--runner", choices=["process", "docker"], default="process")
    parser.add_argument("--json", type=Path, metavar="FILE", help="leave the figures here")
    options = parser.parse_args()
    options.cores = pinned.cores(WORKERS)
    options.site = install()
    table.show_load()
    found = samples(options.cache)
    if options.limit:
        found = random.Random(options.seed).sample(found, min(options.limit, len(found)))
    # On the file system of the cache, for the links to its files.
    with tempfile.TemporaryDirectory(prefix="karton-", dir=options.cache) as name:
        ours, karton, bucket = measure(Path(name), found, options)
    report(found, ours, karton, bucket, options)


def measure(
    work: Path, found: Sequence[Sample], options: argparse.Namespace
) -> tuple[list[OurRun], list[KartonRun], list[KartonRun]]:
    """Runs of ours, of Karton, and of Karton that stores no blobs, in turns."""
    files = pinned.sources(work / "files", found)
    paths = [sample.path for sample in found]
    for path in paths:
        path.read_bytes()
    runs: tuple[list[OurRun], list[KartonRun], list[KartonRun]] = ([], [], [])
    for number in range(1, options.repeat + 1):
        own, rows = ours(work / "ours", files, options)
        runs[0].append(own)
        print(f"ours, {number}: {own.seconds:.1f} s", flush=True)
        for blobs, some in ((True, runs[1]), (False, runs[2])):
            place = work / "karton"
            sets = options.feature_sets
            with KartonStack(options.site, place, options.cores, sets, blobs=blobs) as stack:
                stack.run(paths[:_WARM_UP])
                some.append(stack.run(paths))
            what = "Karton" if blobs else "Karton without blobs"
            print(f"{what}, {number}: {some[-1].seconds:.1f} s", flush=True)
            require_equal(rows, some[-1])
    return runs


def ours(folder: Path, files: Path, options: argparse.Namespace) -> tuple[OurRun, Found]:
    """One update of an empty corpus up to its vectors, and what it found."""
    update = pinned.PinnedUpdate(
        folder, files, options.feature_sets, len(options.cores), options.runner
    )
    began, busy = time.perf_counter(), table.busy_s()
    shards = update.collect(options.cores[0])
    services = {"collect": time.perf_counter() - began}
    for service in ("ingest", "extract"):
        start = time.perf_counter()
        update.each(service, shards, options.cores)
        services[service] = time.perf_counter() - start
    own = OurRun(
        services,
        time.perf_counter() - began,
        table.busy_s() - busy,
    )
    rows = staged(update, options.feature_sets)
    shutil.rmtree(folder)
    return own, rows


def staged(update: pinned.PinnedUpdate, feature_sets: Sequence[str]) -> Found:
    """What an update has staged of each file."""
    made = update.opened()
    rows = {row["sha256"]: row for row in made.read("samples", _IDENTITY).to_pylist()}
    vectors: dict[str, bytes] = dict.fromkeys(rows, b"")
    for name in feature_sets:
        table = made.read(f"features-{name}", ["sha256", "vector"])
        for sha256, vector in zip(table["sha256"].to_pylist(), table["vector"], strict=True):
            vectors[sha256] += vector.values.to_numpy().astype("<f4").tobytes()
    return {
        sha256: {**row, "vectors_sha256": hashlib.sha256(vectors[sha256]).hexdigest()}
        for sha256, row in rows.items()
    }


def require_equal(rows: Found, run: KartonRun) -> None:
    """End the benchmark if the two sides did not do the same."""
    names = [*_IDENTITY, "vectors_sha256"]
    theirs = {row["sha256"]: {name: row[name] for name in names} for row in run.rows}
    differing = sorted(key for key in rows.keys() | theirs if rows.get(key) != theirs.get(key))
    if differing:
        raise SystemExit(f"{len(differing)} files differ, {differing[0]} first.")


def report(
    found: Sequence[Sample],
    ours: Sequence[OurRun],
    karton: Sequence[KartonRun],
    bucket: Sequence[KartonRun],
    options: argparse.Namespace,
) -> None:
    count, size = len(found), sum(sample.size for sample in found) / 1e6
    named: dict[str, Sequence[OurRun | KartonRun]] = {
        "ours": ours,
        "Karton": karton,
        "Karton without blobs": bucket,
    }
    seconds = {name: statistics.median(run.seconds for run in runs) for name, runs in named.items()}
    busy = {name: statistics.median(run.busy_s for run in runs) for name, runs in named.items()}
    print(f"\n{count} files, {size:.0f} MB, {', '.join(options.feature_sets)}, {WORKERS} workers;")
    print(f"ours by the {options.runner} runner; medians of {options.repeat}\n")
    table.show(
        ["", "seconds", "files/s", "machine's CPU s", "all seconds"],
        [
            [
                name,
                seconds[name],
                count / seconds[name],
                busy[name],
                " ".join(f"{run.seconds:.1f}" for run in runs),
            ]
            for name, runs in named.items()
        ],
    )
    services = {
        service: statistics.median(run.services[service] for run in ours)
        for service in ours[0].services
    }
    print("\nours: " + ", ".join(f"{name} {value:.1f} s" for name, value in services.items()))
    roles = {
        role: statistics.median(run.roles_cpu_s[role] for run in karton)
        for role in karton[0].roles_cpu_s
    }
    pushed = statistics.median(run.pushed_s for run in karton)
    print(f"Karton: the last file was pushed after {pushed:.1f} s; CPU time by process\n")
    total = sum(roles.values())
    table.show(
        ["", "CPU s", "ms a file", "%"],
        [[role, s, 1e3 * s / count, 100 * s / total] for role, s in roles.items()],
    )
    consumers = [value for role, value in roles.items() if role.startswith("consumer")]
    alone = count / (sum(consumers) / len(consumers))
    print(f"\nWith all but its consumers for nothing, Karton could do {alone:.0f} files/s at most.")
    ratios = {name: seconds[name] / seconds["ours"] for name in named if name != "ours"}
    verdict = "met" if ratios["Karton"] >= GOAL else "not met"
    print(f"{ratios['Karton']:.2f} times Karton, goal {GOAL}: {verdict}")
    print(f"{busy['Karton'] / busy['ours']:.2f} times less CPU time")
    print(f"{ratios['Karton without blobs']:.2f} times Karton whose bucket is taken for the blobs")
    table.leave(
        options.json,
        {
            "benchmark": "karton",
            "runner": options.runner,
            "feature_sets": options.feature_sets,
            "files": count,
            "mb": size,
            "seconds": {name: [run.seconds for run in runs] for name, runs in named.items()},
            "machine_cpu_s": busy,
            "services": services,
            "karton_cpu_s": roles,
            "karton_at_most_files_per_s": alone,
            "ratio": ratios["Karton"],
            "ratio_without_blobs": ratios["Karton without blobs"],
            "goal": GOAL,
        },
    )


if __name__ == "__main__":
    main()
