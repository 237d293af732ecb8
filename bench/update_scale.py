"""An update of new samples on a large corpus against the very same update on a small one.

    python bench/update_scale.py --rows 1000000 --baseline-rows 10000 --samples 1000

Both corpora are published for real (bench/common/base.py); the new samples are real executables with
a manifest of verdicts. Every update runs the whole chain, collect to publish, in a process of its own on
a fresh copy of its corpus, large and small in turn; of several the fastest counts, service by service.
The process has run a tiny update before, so that imports do not make both sides look alike.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import multiprocessing
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import base, table
from common.executables import write_variants

from corpus.contract import registry
from corpus.contract.progress import Progress
from corpus.services.context import Context
from corpus.services.dispatch import run_service
from corpus.settings import Settings
from corpus.store.object_store import Store

TARGET = 1.3
_VERDICTS = ("malicious", "benign", "unknown")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="samples of the large corpus")
    parser.add_argument("--baseline-rows", type=int, default=10_000, help="and of the small one")
    parser.add_argument("--samples", type=int, default=1_000, help="new samples of the update")
    parser.add_argument("--snapshots", type=int, default=10, help="updates that made each corpus")
    parser.add_argument("--repeat", type=int, default=3, help="updates on each; the fastest counts")
    parser.add_argument("--seed", type=int, default=1, help="seed of all that is made up")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--json", type=Path, metavar="FILE", help="leave the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="update-scale-", dir=options.folder) as name:
        folder = Path(name)
        print(f"{options.samples:,} new executables", flush=True)
        samples, verdicts = _make_samples(folder, options.samples, options.seed)
        sizes = {"small": options.baseline_rows, "large": options.rows}
        for which, rows in sizes.items():
            began = time.perf_counter()
            _alone(build, folder / which, rows, options.snapshots, options.seed)
            print(f"corpus of {rows:,} rows: {time.perf_counter() - began:.0f} s", flush=True)
        runs: dict[str, list[dict[str, list[float]]]] = {which: [] for which in sizes}
        for number in range(options.repeat):
            for which in sizes:
                copy = folder / "copy"
                # What is published is never written again, so names of the same bytes will do.
                subprocess.run(["cp", "-al", folder / which, copy], check=True)
                runs[which].append(_alone(update, copy, samples, verdicts, folder / "warm"))
                total = sum(wall for wall, _ in runs[which][-1].values())
                print(f"update {number + 1} on {sizes[which]:,} rows: {total:.2f} s", flush=True)
                subprocess.run(["rm", "-rf", copy], check=True)
        _report(options, runs)


def _make_samples(folder: Path, count: int, seed: int) -> tuple[Path, Path]:
    samples, verdicts = folder / "samples", folder / "verdicts.csv"
    with verdicts.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["sha256", "verdict", "reporter", "first_seen", "family"])
        for number, path in enumerate(write_variants(samples, count, seed)):
            verdict = _VERDICTS[number % len(_VERDICTS)]
            family = f"family{number % 50}" if verdict == "malicious" else ""
            day = f"2024-03-{number % 24 + 1:02d}T00:00:00Z"
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            rows.writerow([digest, verdict, "analyst", day, family])
    return samples, verdicts


def _alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _context(root: Path) -> Context:
    settings = Settings.load({"store": {"root": str(root)}, "places": {"roots": ["/"]}})
    return Context(settings, Store(root), Progress(write=lambda _: None), {"run_id": "bench"})


def build(root: Path, rows: int, snapshots: int, seed: int) -> None:
    base.build(_context(root), rows, snapshots, seed)


def update(root: Path, samples: Path, verdicts: Path, warm: Path) -> dict[str, list[float]]:
    """Wall-clock and processor seconds, those of child processes too, of each service."""
    if not warm.exists():
        write_variants(warm, 20, seed=0)
    with tempfile.TemporaryDirectory(dir=warm.parent) as scratch:
        _chain(_context(Path(scratch)), warm, verdicts)
    return _chain(_context(root), samples, verdicts)


def _chain(context: Context, samples: Path, verdicts: Path) -> dict[str, list[float]]:
    given: dict[str, dict[str, Any]] = {
        "collect": {"sources": [str(samples)]},
        "import-verdicts": {"urls": [str(verdicts)]},
    }
    took = {}
    for name, service in registry.SERVICES.items():
        request = service.request(update="new", **given.get(name, {}))
        began, used = time.perf_counter(), _processor_seconds()
        run_service(request, context)
        took[name] = [time.perf_counter() - began, _processor_seconds() - used]
    return took


def _processor_seconds() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(one) for one in who]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _report(options: argparse.Namespace, runs: dict[str, list[dict[str, list[float]]]]) -> None:
    best = {
        which: {
            name: [min(run[name][kind] for run in made) for kind in (0, 1)]
            for name in registry.SERVICES
        }
        for which, made in runs.items()
    }
    for times in best.values():
        times["total"] = [sum(one[kind] for one in times.values()) for kind in (0, 1)]
    rows: list[list[Any]] = []
    for name in best["small"]:
        (small, small_cpu), (large, large_cpu) = best["small"][name], best["large"][name]
        rows.append([name, small, large, large - small, large / small, small_cpu, large_cpu])
    print(
        f"\n{options.samples:,} new samples on {options.rows:,} rows, against the baseline: "
        f"the same on {options.baseline_rows:,} rows\n"
    )
    table.show(["seconds", "baseline", "large", "more", "ratio", "cpu base", "cpu large"], rows)
    ratio = rows[-1][4]
    print(f"\nratio {ratio:.2f}, target {TARGET} or less: {'met' if ratio <= TARGET else 'MISSED'}")
    table.leave(
        options.json,
        {
            "benchmark": "update_scale",
            "rows": options.rows,
            "baseline_rows": options.baseline_rows,
            "samples": options.samples,
            "ratio": ratio,
            "target": TARGET,
            "seconds": {which: {k: v[0] for k, v in best[which].items()} for which in best},
            "processor_seconds": {
                which: {k: v[1] for k, v in best[which].items()} for which in best
            },
        },
    )


if __name__ == "__main__":
    main()
