"""What a run and its tasks are at, and what they wait for: in a line, for whoever waits for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from deploy.common.airflow_api import AirflowApi

OVER = {"success", "failed", "skipped", "upstream_failed", "removed"}
_WAITS = {
    "scheduled": "waits for a slot",
    "queued": "waits for a worker",
    "up_for_retry": "waits for its next try",
    "up_for_reschedule": "waits, and looks again soon",
    "deferred": "waits for its trigger",
    "awaiting_input": "waits for somebody's answer",
}
_NEXT = ("scheduled", "queued")
# What operators/releases/bundle.py says in the log of a task whose host lacks the release of its run.
_NO_RELEASE = "has not got release"

Task = Mapping[str, Any]
Run = Mapping[str, Any]


class Waits:
    """Asks one Airflow why things wait. All calls raise what `AirflowApi` raises."""

    def __init__(self, api: AirflowApi) -> None:
        self._api = api

    def blocker(self, dag_id: str, run_id: str) -> str | None:
        """The running run of the same DAG that a queued one waits for, if there is one."""
        running = (run for run in self._api.active_runs(dag_id) if run["state"] == "running")
        return next((run["dag_run_id"] for run in running if run["dag_run_id"] != run_id), None)

    def of(self, run: Run) -> str:
        """What an unfinished run is at, or waits for."""
        dag_id, run_id = run["dag_id"], run["dag_run_id"]
        if run["state"] == "queued":
            return self.queued(run)
        return self.running(run, self._api.tasks(dag_id, run_id))

    def queued(self, run: Run) -> str:
        """What a queued run waits for, and how long so far."""
        dag_id, run_id, now = run["dag_id"], run["dag_run_id"], datetime.now(UTC)
        since = _time(run["queued_at"]) or now
        so_far = f"{(now - since).total_seconds():.0f} s so far"
        if blocker := self.blocker(dag_id, run_id):
            there = self.running(self._api.run(dag_id, blocker), self._api.tasks(dag_id, blocker))
            return f"waits for run {blocker} to end, {so_far}; there: {there}"
        dag = self._api.call("GET", f"dags/{dag_id}")
        if dag["is_paused"]:
            return f"waits until somebody unpauses {dag_id}, {so_far}"
        ahead = len(self._api.active_runs(dag_id)) - 1
        return f"waits for the scheduler, {so_far}: no run of {dag_id} is under way, {ahead} others are queued"

    def running(self, run: Run, tasks: list[dict[str, Any]]) -> str:
        """What the tasks of a run that has begun are at, or wait for."""
        now = datetime.now(UTC)
        if not any(task["state"] for task in tasks):
            due = max(filter(None, (_time(run["run_after"]), _time(run["logical_date"]))))
            if due > now:
                return f"waits for its date, {due.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return at_work(tasks, now, lambda task: self._why(run, task))

    def _why(self, run: Run, task: Task) -> str:
        state = task["state"]
        if state == "scheduled":
            pool = self._api.call("GET", f"pools/{task['pool']}")
            # -1: without limit.
            if 0 <= pool["open_slots"] < task["pool_slots"]:
                taken = f"{pool['occupied_slots']} of {pool['slots']} taken"
                return f"waits for a slot of the pool {pool['name']} ({taken})"
        if state == "up_for_reschedule":
            log = self._api.log(run["dag_id"], run["dag_run_id"], dict(task))
            if any(_NO_RELEASE in line for line in log):
                return f"waits for release {run['bundle_version']} on {task['hostname']}, which has not got it"
        return _WAITS[state]


def at_work(
    tasks: list[dict[str, Any]],
    now: datetime,
    why: Callable[[Task], str] = lambda task: _WAITS[task["state"]],
) -> str:
    """What tasks are at: counts of mapped ones, how long, and how much longer by the mean so far.

    :param why: says what a task waits for; it is asked once for all tasks of one name and state.
    """
    parts = []
    for name in dict.fromkeys(task["task_id"] for task in tasks):
        own = [task for task in tasks if task["task_id"] == name]
        counts = Counter(task["state"] for task in own)
        waiting = {task["state"]: task for task in reversed(own) if task["state"] in _WAITS}
        if running := [task for task in own if task["state"] == "running"]:
            start = min(datetime.fromisoformat(task["start_date"]) for task in running)
            text = f"{name} running {(now - start).total_seconds():.0f} s"
            if len(own) > 1:
                text += f", {done(own)} of {len(own)} done{_estimate(own, len(running))}"
            parts.append(text)
            # That the next ones wait for those that run is no news.
            waiting = {state: task for state, task in waiting.items() if state not in _NEXT}
        for state, task in waiting.items():
            how_many = f" ({counts[state]} of {len(own)})" if len(own) > 1 else ""
            parts.append(f"{name}{how_many} {why(task)}")
    if not parts:
        ended = any(task["state"] in OVER for task in tasks)
        return (
            "waits for the scheduler to begin the next task" if ended else "nothing has begun yet"
        )
    return "; ".join(parts)


def done(tasks: list[dict[str, Any]]) -> int:
    """How many of the tasks are over."""
    return sum(1 for task in tasks if task["state"] in OVER)


def _estimate(tasks: list[dict[str, Any]], at_once: int) -> str:
    took = [task["duration"] for task in tasks if task["state"] == "success" and task["duration"]]
    if not took:
        return ""
    left = (len(tasks) - done(tasks)) * sum(took) / len(took) / at_once
    return f", about {left:.0f} s more"


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
