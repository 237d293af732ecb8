"""Show a run's progress, task by task, and what it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from deploy.common.airflow_api import AirflowApi
from deploy.common.errors import AnswerError, UnavailableError
from deploy.common.shell import say
from deploy.local.waits import OVER, Waits, done

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


class Follower:
    """Prints a line for each change of each task of a run, and now and then what it waits for.

    :param watch: is called at each look; it may raise, and that ends the waiting.
    """

    def __init__(self, api: AirflowApi, dag_id: str, run_id: str, watch: Callable[[], None]):
        self._api = api
        self._dag_id = dag_id
        self._run_id = run_id
        self._watch = watch
        self._waits = Waits(api)
        self._shown: dict[tuple[str, int], str] = {}
        self._said = self._answered = time.monotonic()
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
            self._show_queue()
        elif self._silent():
            self._tell(self._waits.running(self._api.run(self._dag_id, self._run_id), tasks))
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
            share = _share(task["task_id"], tasks) if state in OVER else ""
        ended = state in ("success", "failed") and task["duration"]
        took = f"  {task['duration']:.1f} s" if ended else ""
        self._tell(f"{name:<28} {_WORDS[state]}{took}{share}")

    def _show_queue(self) -> None:
        """A run that cannot begin waits for another one, which holds the only place of its DAG."""
        blocker = self._waits.blocker(self._dag_id, self._run_id)
        if self._silent() or blocker not in (None, self._blocker):
            self._blocker = blocker
            self._tell(self._waits.queued(self._api.run(self._dag_id, self._run_id)))

    def _show_failure(self, task: dict[str, Any]) -> None:
        say(f"\nThe last lines of {task['task_id']}'s log:")
        for line in self._api.log(self._dag_id, self._run_id, task)[-15:]:
            say(f"    {line}")


def _share(task_id: str, tasks: list[dict[str, Any]]) -> str:
    own = [task for task in tasks if task["task_id"] == task_id]
    return f"  ({done(own)} of {len(own)})" if len(own) > 1 else ""
