"""Show a run's progress, task by task, and what it waits for."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from deploy.common.airflow_api import AirflowApi
from deploy.common.errors import AnswerError, UnavailableError
from deploy.common.shell import say

ENDED = {"success", "failed"}
# A line at least this often, so that nobody takes long work for a hang.
_SILENCE_S = 15.0
# How long Airflow may be away; it comes back within a minute where somebody starts it again.
_AWAY_S = 300.0
_SERVER_ERROR = 500
_WORDS = {
    "running": "running",
    "success": "done",
    "failed": "FAILED",
    "skipped": "skipped: nothing to do",
    "upstream_failed": "not run: an earlier task failed",
    "up_for_retry": "failed, will be tried again",
}
_WAITS = {
    "scheduled": "waits for a slot",
    "queued": "waits for a worker",
    "up_for_retry": "waits for its next try",
    "up_for_reschedule": "waits, and looks again soon",
    "deferred": "waits for its trigger",
}
_OVER = {"success", "failed", "skipped", "upstream_failed", "removed"}


class Follower:
    """Prints a line for each change of each task of a run, and now and then what it waits for.

    :param watch: is called at each look; it may raise, and that ends the waiting.
    """

    def __init__(self, api: AirflowApi, dag_id: str, run_id: str, watch: Callable[[], None]):
        self._api = api
        self._dag_id = dag_id
        self._run_id = run_id
        self._watch = watch
        self._shown: dict[tuple[str, int], str] = {}
        self._began = self._said = self._answered = time.monotonic()
        self._blocker: str | None = None

    def to_the_end(self) -> str:
        """Follow the run until it ends, and return its state. Raises what `AirflowApi` and the watch raise."""
        while True:
            self._watch()
            try:
                state = self._look()
                self._answered = time.monotonic()
            except UnavailableError as error:
                self._bear(error)
            else:
                if state in ENDED:
                    return state
            time.sleep(1)

    def _look(self) -> str:
        state = self._api.run_state(self._dag_id, self._run_id)
        found = self._api.tasks(self._dag_id, self._run_id)
        tasks = sorted(found, key=lambda task: task["start_date"] or "9999")
        for task in tasks:
            self._show(task, tasks)
        if state in ENDED:
            for task in tasks:
                if task["state"] == "failed":
                    self._show_failure(task)
        elif state == "queued":
            self._show_blocker()
        elif self._silent():
            self._tell(waiting(tasks, datetime.now(UTC)))
        return state

    def _silent(self) -> bool:
        return time.monotonic() - self._said > _SILENCE_S

    def _bear(self, error: UnavailableError) -> None:
        """Airflow may be on its way back; what it refuses, it will refuse again."""
        away = time.monotonic() - self._answered
        refused = isinstance(error, AnswerError) and error.code < _SERVER_ERROR
        if refused or away > _AWAY_S:
            raise error
        if self._silent():
            self._tell(f"waits for Airflow to answer again, {away:.0f} s so far")

    def _tell(self, what: str) -> None:
        self._said = time.monotonic()
        say(f"  {datetime.now():%H:%M:%S}  {what}")

    def _show(self, task: dict[str, Any], tasks: list[dict[str, Any]]) -> None:
        key, state = (task["task_id"], task["map_index"]), task["state"]
        if self._shown.get(key) == state or state not in _WORDS:
            return
        self._shown[key] = state
        name, share = task["task_id"], ""
        if task["map_index"] >= 0:
            name += f" [{task['rendered_map_index'] or task['map_index']}]"
            share = _share(task["task_id"], tasks) if state in _OVER else ""
        ended = state in ("success", "failed") and task["duration"]
        took = f"  {task['duration']:.1f} s" if ended else ""
        self._tell(f"{name:<28} {_WORDS[state]}{took}{share}")

    def _show_blocker(self) -> None:
        """A run that cannot begin waits for another one, which holds the only place of its DAG."""
        others = self._api.active_runs(self._dag_id)
        blocker = next((run["dag_run_id"] for run in others if run["state"] == "running"), None)
        waited = time.monotonic() - self._began
        if blocker is None and self._silent():
            ahead = [run["dag_run_id"] for run in others if run["dag_run_id"] != self._run_id]
            self._tell(
                f"queued for {waited:.0f} s, and no run of {self._dag_id} is under way; "
                f"{len(ahead)} others are queued. Is the DAG paused, or the scheduler down?"
            )
        elif blocker not in (None, self._run_id) and (blocker != self._blocker or self._silent()):
            self._blocker = blocker
            doing = waiting(self._api.tasks(self._dag_id, blocker), datetime.now(UTC))
            self._tell(f"waits for run {blocker} to end, {waited:.0f} s so far; there: {doing}")

    def _show_failure(self, task: dict[str, Any]) -> None:
        say(f"\nThe last lines of {task['task_id']}'s log:")
        for line in self._api.log(self._dag_id, self._run_id, task)[-15:]:
            say(f"    {line}")


def waiting(tasks: list[dict[str, Any]], now: datetime) -> str:
    """What tasks are at, in a line: counts of mapped ones, how long, and how much longer by the mean so far."""
    parts = []
    for name in dict.fromkeys(task["task_id"] for task in tasks):
        own = [task for task in tasks if task["task_id"] == name]
        if running := [task for task in own if task["state"] == "running"]:
            start = min(datetime.fromisoformat(task["start_date"]) for task in running)
            text = f"{name} running {(now - start).total_seconds():.0f} s"
            if len(own) > 1:
                text += f", {_done(own)} of {len(own)} done{_estimate(own, len(running))}"
            parts.append(text)
        elif own:
            states = Counter(task["state"] for task in own if task["state"] in _WAITS)
            parts += [f"{name} {_WAITS[state]}" for state in states]
    if not parts:
        ended = any(task["state"] in _OVER for task in tasks)
        return (
            "waits for the scheduler to begin the next task" if ended else "nothing has begun yet"
        )
    return "; ".join(parts)


def _done(tasks: list[dict[str, Any]]) -> int:
    return sum(1 for task in tasks if task["state"] in _OVER)


def _estimate(tasks: list[dict[str, Any]], at_once: int) -> str:
    took = [task["duration"] for task in tasks if task["state"] == "success" and task["duration"]]
    if not took:
        return ""
    left = (len(tasks) - _done(tasks)) * sum(took) / len(took) / at_once
    return f", about {left:.0f} s more"


def _share(task_id: str, tasks: list[dict[str, Any]]) -> str:
    own = [task for task in tasks if task["task_id"] == task_id]
    return f"  ({_done(own)} of {len(own)})" if len(own) > 1 else ""
