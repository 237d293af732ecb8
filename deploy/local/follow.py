"""Show a run's progress, task by task."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from deploy.common.airflow_api import AirflowApi

ENDED = {"success", "failed"}
_WORDS = {
    "running": "running",
    "success": "done",
    "failed": "FAILED",
    "skipped": "skipped: nothing to do",
    "upstream_failed": "not run: an earlier task failed",
    "up_for_retry": "failed, will be tried again",
}


def follow(api: AirflowApi, dag_id: str, run_id: str) -> str:
    """Print a line for each change of each task until the run ends; returns the run's state."""
    shown: dict[tuple[str, int], str] = {}
    while True:
        state = api.run_state(dag_id, run_id)
        tasks = sorted(api.tasks(dag_id, run_id), key=lambda task: task["start_date"] or "9999")
        for task in tasks:
            _show(task, shown)
        if state in ENDED:
            for task in tasks:
                if task["state"] == "failed":
                    _show_failure(api, dag_id, run_id, task)
            return state
        time.sleep(1)


def _show(task: dict[str, Any], shown: dict[tuple[str, int], str]) -> None:
    key, state = (task["task_id"], task["map_index"]), task["state"]
    if shown.get(key) == state or state not in _WORDS:
        return
    shown[key] = state
    name = task["task_id"]
    if task["map_index"] >= 0:
        name += f" [{task['rendered_map_index'] or task['map_index']}]"
    took = (
        f"  {task['duration']:.1f} s" if state in ("success", "failed") and task["duration"] else ""
    )
    print(f"  {datetime.now():%H:%M:%S}  {name:<28} {_WORDS[state]}{took}", flush=True)


def _show_failure(api: AirflowApi, dag_id: str, run_id: str, task: dict[str, Any]) -> None:
    print(f"\nThe last lines of {task['task_id']}'s log:")
    for line in api.log(dag_id, run_id, task)[-15:]:
        print(f"    {line}")
