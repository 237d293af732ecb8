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
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from common import table
from common.executables import write_variants

TARGET = 1.5
DAG = "corpus_update"


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
    # The embedded Airflow is part of the checkout, not of what is installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from deploy.common.airflow_api import AirflowApi
    from deploy.local.embedded.server import EmbeddedAirflow

    ours, baseline = [], []
    airflow = EmbeddedAirflow(work)
    airflow.config.write_text(
        f"[store]\nroot = {json.dumps(str(work / 'dag'))}\n\n"
        f"[sources]\nurls = {json.dumps([str(work / 'samples')])}\n"
    )
    print("starting Airflow", flush=True)
    running = airflow.start()
    try:
        api = AirflowApi(running.url, "admin", airflow.password())
        api.wait_for_dag(DAG)
        # The first tasks after a start wait for what Airflow only then imports.
        _through_the_dag(api, work, {"limit": 10})
        for number in range(options.repeat):
            baseline.append(_alone(services_in_one_process, work, options.workers))
            print(f"one process, {number + 1}: {baseline[-1]['total']:.1f} s", flush=True)
            ours.append(_through_the_dag(api, work, {}))
            print(f"the DAG, {number + 1}: {ours[-1]['total']:.1f} s", flush=True)
    finally:
        airflow.stop()
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


def _through_the_dag(api: Any, work: Path, conf: dict[str, Any]) -> dict[str, float]:
    """Seconds from the first start to the last end of each task's instances, and of the whole run."""
    shutil.rmtree(work / "dag", ignore_errors=True)
    began = time.time()
    run_id = api.trigger(DAG, conf)
    while (state := api.run_state(DAG, run_id)) not in ("success", "failed"):
        time.sleep(1)
    tasks = api.tasks(DAG, run_id)
    if state != "success":
        failed = next(task for task in tasks if task["state"] == "failed")
        raise SystemExit("\n".join(api.log(DAG, run_id, failed)))
    times = {}
    for name in sorted({task["task_id"] for task in tasks}):
        own = [task for task in tasks if task["task_id"] == name and task["start_date"]]
        if own:
            start = min(_seconds(task["start_date"]) for task in own)
            times[name.replace("_", "-")] = max(_seconds(t["end_date"]) for t in own) - start
    run = api.call("GET", f"dags/{DAG}/dagRuns/{run_id}")
    times["total"] = _seconds(run["end_date"]) - began
    return times


def _seconds(when: str) -> float:
    return datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp()


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
