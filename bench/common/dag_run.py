"""The master DAG in the embedded default (SQLite, LocalExecutor), up and warm, and how long its tasks take."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

DAG = "corpus_update"


class DagRuns:
    """Updates of an empty corpus, each from the samples of the work folder."""

    def __init__(self, api: Any, work: Path) -> None:
        self._api = api
        self._work = work

    def update(self, conf: dict[str, Any]) -> tuple[dict[str, float], dict[str, int]]:
        """Seconds from the first start to the last end of each service's tasks, and of the whole run; and counts.

        The run's own are called `total`, and count from its trigger. Exits with the log of a task that failed.
        """
        shutil.rmtree(self._work / "dag", ignore_errors=True)
        began = time.time()
        run_id = self._api.trigger(DAG, conf)
        while (state := self._api.run_state(DAG, run_id)) not in ("success", "failed"):
            time.sleep(1)
        tasks = self._api.tasks(DAG, run_id)
        if state != "success":
            failed = next(task for task in tasks if task["state"] == "failed")
            raise SystemExit("\n".join(self._api.log(DAG, run_id, failed)))
        times, counts = {}, {}
        for name in sorted({task["task_id"] for task in tasks}):
            own = [task for task in tasks if task["task_id"] == name and task["start_date"]]
            if own:
                start = min(_seconds(task["start_date"]) for task in own)
                service = name.replace("_", "-")
                times[service] = max(_seconds(task["end_date"]) for task in own) - start
                counts[service] = len(own)
        times["total"] = _seconds(self._api.run(DAG, run_id)["end_date"]) - began
        counts["total"] = len(tasks)
        return times, counts


@contextmanager
def dag_runs(work: Path, settings: str = "") -> Iterator[DagRuns]:
    """Start Airflow, and stop it at the end.

    :param work: its folder; `samples` below it is what updates read.
    :param settings: more tables of corpus.toml.
    """
    # The embedded Airflow is part of the checkout, not of what is installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from deploy.common.airflow_api import AirflowApi
    from deploy.local.embedded.server import EmbeddedAirflow
    from deploy.local.embedded.stops import heed_stops

    # Whatever ends the bench, its Airflow goes too.
    heed_stops()
    airflow = EmbeddedAirflow(work)
    airflow.config.write_text(
        f"[store]\nroot = {json.dumps(str(work / 'dag'))}\n\n"
        f"[sources]\nurls = {json.dumps([str(work / 'samples')])}\n\n{settings}"
    )
    print("starting Airflow", flush=True)
    running = airflow.start()
    try:
        api = AirflowApi(running.url, "admin", airflow.password())
        api.wait_for_dag(DAG)
        runs = DagRuns(api, work)
        # The first tasks after a start wait for what Airflow only then imports.
        runs.update({"limit": 10})
        yield runs
    finally:
        airflow.stop()


def _seconds(when: str) -> float:
    return datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp()
