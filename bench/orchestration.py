"""An update of many small files through the DAG against the same services in one process.

    python bench/orchestration.py --files 5000

The DAG runs on the embedded default (SQLite, LocalExecutor), already up, and is timed from the
trigger to the end of its run. The baseline calls the same services one after the other in one fresh
Python process, imports included. Each side updates an empty corpus of its own from the same files, and
extracts in as many processes at a time as there are cores: the DAG's tasks in one each, the baseline
in all of them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import table
from common.dag_run import dag_runs
from common.executables import write_variants

TARGET = 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=5_000, help="small executables")
    parser.add_argument("--repeat", type=int, default=2, help="of each; the fastest counts")
    parser.add_argument("--seed", type=int, default=1, help="seed of the files")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--json", type=Path, metavar="FILE", help="leave the figures here")
    options = parser.parse_args()
    # As many tasks as the embedded default runs at a time.
    options.workers = max(2, os.cpu_count() or 2)
    with tempfile.TemporaryDirectory(prefix="orchestration-", dir=options.folder) as name:
        work = Path(name)
        print(f"{options.files:,} executables", flush=True)
        write_variants(work / "samples", options.files, options.seed)
        ours, baseline = _measure(work, options)
    _report(options, ours, baseline)


def _measure(work: Path, options: argparse.Namespace) -> tuple[dict[str, float], dict[str, float]]:
    ours, baseline = [], []
    with dag_runs(work) as runs:
        for number in range(options.repeat):
            baseline.append(_alone(services_in_one_process, work, options.workers))
            print(f"one process, {number + 1}: {baseline[-1]['total']:.1f} s", flush=True)
            ours.append(runs.update({})[0])
            print(f"the DAG, {number + 1}: {ours[-1]['total']:.1f} s", flush=True)
    return min(ours, key=_total), min(baseline, key=_total)


def _total(times: dict[str, float]) -> float:
    return times["total"]


def _alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def services_in_one_process(work: Path, workers: int) -> dict[str, float]:
    """Seconds of each service, and in total, on an empty corpus."""
    from corpus.cli.pandas import WithoutPandas
    from corpus.contract import registry
    from corpus.contract.progress import Progress
    from corpus.services.context import Context
    from corpus.services.dispatch import run_service
    from corpus.settings import Settings
    from corpus.store.object_store import Store

    # As the command does, which each task runs.
    sys.meta_path.insert(0, WithoutPandas())
    with tempfile.TemporaryDirectory(dir=work) as root:
        began = time.perf_counter()
        settings = Settings.load(
            {
                "store": {"root": root},
                "sources": {"urls": [str(work / "samples")]},
                "shards": {"workers": workers},
                "features": {"jobs": workers},
            }
        )
        context = Context(settings, Store(root), Progress(write=lambda _: None))
        times = {}
        for name, service in registry.SERVICES.items():
            start = time.perf_counter()
            run_service(service.request(update="direct"), context)
            times[name] = time.perf_counter() - start
        times["total"] = time.perf_counter() - began
    return times


def _report(
    options: argparse.Namespace, ours: dict[str, float], baseline: dict[str, float]
) -> None:
    rows = []
    for name, seconds in baseline.items():
        if name != "total":
            rows.append([name, seconds, ours.get(name, 0.0), ""])
    between = ours["total"] - sum(ours.get(name, 0.0) for name in baseline if name != "total")
    rows.append(["between tasks, less what overlaps", "", between, ""])
    ratio = ours["total"] / baseline["total"]
    rows.append(["total", baseline["total"], ours["total"], ratio])
    print(f"\n{options.files:,} files, {options.workers} workers; baseline: one process\n")
    table.show(["seconds", "baseline", "DAG", "ratio"], rows)
    print(f"\nratio {ratio:.2f}, target {TARGET} or less: {'met' if ratio <= TARGET else 'MISSED'}")
    table.leave(
        options.json,
        {
            "benchmark": "orchestration",
            "files": options.files,
            "workers": options.workers,
            "ratio": ratio,
            "target": TARGET,
            "seconds": {"dag": ours, "baseline": baseline},
        },
    )


if __name__ == "__main__":
    main()
