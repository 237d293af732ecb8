"""Does the acts of a plan to an Airflow, one after another, and says each in a line."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from deploy.common.errors import AnswerError, UnavailableError
from deploy.local.update import DAG
from tests.system.soak.house import House, Work
from tests.system.soak.offers import Offers
from tests.system.soak.plan import Act

T = TypeVar("T")
# When an Airflow that makes no progress counts as hanging: longer than all that it takes to heal.
LIMIT_S = 900
_AWAY_S = 300
_LATER, _SERVER_ERROR = (404, 409), 500
_ENDED = ("success", "failed")
# What to clear: those that did not fail, too.
_ALL = {"dry_run": False, "only_failed": False}
# Of the last runs; what is older is history.
_RUNS = 5
# How long a service works on a handful of samples. Learned for each: longer by so much with each kill that met it,
# shorter with each that came too late, so that about one of six does.
_WORK_S, _LONGER, _SHORTER = 1.0, 1.1, 0.6


class Actor:
    """Does what a plan says, and whatever it needs for that: updates to run, and samples for them."""

    def __init__(self, house: House, offers: Offers, say: Callable[[str], None]):
        self.done: list[Act] = []
        self._house = house
        self._offers = offers
        self._say = say
        self._work_s: dict[str, float] = {}
        self._looked = 0.0

    def do(self, acts: Sequence[Act]) -> None:
        """Do all of them. Raises AssertionError if one cannot be done, as this Airflow hangs."""
        for kill, group in itertools.groupby(acts, lambda act: act.kind == "kill"):
            if kill:
                self._kill(list(group))
                continue
            for act in group:
                self._note(act, getattr(self, f"_{act.kind}")(act))

    def _note(self, act: Act, what: str) -> None:
        self.done.append(act)
        self._say(f"{len(self.done):4}  {datetime.now():%H:%M:%S}  {act}: {what}")

    # What acts need

    def until(self, what: str, seen: Callable[[], T | None], pause: float = 0.3) -> T:
        """The first true answer; what dies meanwhile is noticed, and Airflow may be away for a while.

        What Airflow does not find, or does not do just now, is asked for again: all goes on meanwhile.
        """
        began = answered = time.monotonic()
        while True:
            self._house.watch()
            try:
                if answer := seen():
                    return answer
                answered = time.monotonic()
            except AnswerError as error:
                if error.code >= _SERVER_ERROR:
                    self._say(f"      {error}")
                elif error.code not in _LATER:
                    raise
                answered = time.monotonic()
            except UnavailableError:
                if time.monotonic() - answered > _AWAY_S:
                    raise
            took = time.monotonic() - began
            assert took < LIMIT_S, f"waited {took:.0f} s for {what}; {self._house.ailing()}"
            time.sleep(pause)

    def call(self, method: str, path: str, json: Any = None, **params: Any) -> Any:
        return self._house.api.call(method, f"dags/{DAG}{path}", json=json, params=params or None)

    def runs(self, *states: str) -> list[dict[str, Any]]:
        """The last runs in these states, the newest first."""
        runs = self.call("GET", "/dagRuns", limit=_RUNS, order_by="-run_after")["dag_runs"]
        return [run for run in runs if run["state"] in states]

    def unfinished(self) -> int:
        found = self.call("GET", "/dagRuns", state=["queued", "running"], limit=1)
        return int(found["total_entries"])

    def start(self) -> str:
        """Begin an update of samples that no other has had."""
        self._offers.add()
        return self.until("Airflow to take a run", lambda: self._house.api.trigger(DAG))

    def _keep_running(self) -> None:
        """See to it that there is an update; looked at once a second."""
        if time.monotonic() - self._looked > 1:
            if not self.unfinished():
                self._say(f"      an update, as none runs: {self.start()}")
            self._looked = time.monotonic()

    def _do(self, once: Callable[[], str]) -> str:
        return self.until("Airflow to do it", once)

    def _choose(self, what: str, choices: Callable[[], Sequence[T]], at: float) -> T:
        """One of several as soon as there is one, with an update that may bring it about."""

        def found() -> list[T] | None:
            there = choices()
            if not there:
                self._keep_running()
            return [there[int(at * len(there))]] if there else None

        return self.until(what, found)[0]

    def _tasks(self, *states: str) -> list[dict[str, Any]]:
        """Tasks of the last runs in these states."""
        found = []
        for run in self.runs("running", *_ENDED):
            tasks = self._house.api.tasks(DAG, run["dag_run_id"])
            found += [task for task in tasks if task["state"] in states]
        return found

    # The acts: each returns what it was done to, in words

    def _kill(self, group: list[Act]) -> None:
        """Kills as their services come by, in whichever order that is."""
        while group:

            def at_work() -> Iterable[Work]:
                if not (found := self._house.working({act.target for act in group})):
                    self._keep_running()
                return found

            works = self.until(f"one of {', '.join(act.target for act in group)}", at_work, 0.05)
            work = next(iter(works))
            act = next(act for act in group if act.target == work.service)
            service = work.service
            after = act.at * self._work_s.setdefault(service, _WORK_S)
            if killed := self._house.kill(work, act.victim, after):
                self._work_s[service] *= _LONGER
                group.remove(act)
                self._note(act, f"{killed} of {work.task}, {after:.1f} s after its start")
            else:
                self._work_s[service] *= _SHORTER

    def _part(self, act: Act) -> str:
        def kill() -> str:
            if not (killed := self._house.kill_part(act.target)):
                self._keep_running()
            return killed

        killed = self.until(f"{act.target} to kill", kill, 0.05)
        began = time.monotonic()
        time.sleep(1)
        self.until(f"{act.target} to live again", lambda: not self._house.ailing())
        return f"{killed}, all well again after {time.monotonic() - began:.0f} s"

    def _trigger(self, act: Act) -> str:
        self.until("fewer runs in the queue", lambda: self.unfinished() < _RUNS - 1)
        return self.start()

    def _pause(self, act: Act) -> str:
        seconds = 5 * act.at
        for paused in (True, False):
            self._do(lambda paused=paused: str(self.call("PATCH", "", {"is_paused": paused})))
            assert self._do(lambda: str(self.call("GET", "")["is_paused"])) == str(paused)
            time.sleep(seconds if paused else 0)
        return f"for {seconds:.1f} s"

    def _clear(self, act: Act) -> str:
        def once() -> str:
            if act.target == "run":
                run = self._ended_run(act.at)
                self.call("POST", f"/dagRuns/{run}/clear", _ALL)
                return run
            mapped = act.target == "shard"

            def tasks() -> list[dict[str, Any]]:
                found = self._tasks("running", "queued", "up_for_retry", *_ENDED)
                return [one for one in found if (one["map_index"] >= 0) is mapped]

            task = self._choose("a task", tasks, act.at)
            chosen = [task["task_id"], task["map_index"]] if mapped else task["task_id"]
            body = {**_ALL, "dag_run_id": task["dag_run_id"], "task_ids": [chosen]}
            self.call("POST", "/clearTaskInstances", {**body, "include_downstream": True})
            return _named(task)

        return self._do(once)

    def _delete(self, act: Act) -> str:
        def once() -> str:
            if act.target == "stopped":
                name = self._mark_run("failed", act.at)
            elif act.target == "ended":
                name = self._ended_run(act.at)
            else:
                name = self._queued()
            self.call("DELETE", f"/dagRuns/{name}")
            return str(name)

        return self._do(once)

    def _ended_run(self, at: float) -> str:
        run = self._choose("a run that has ended", lambda: self.runs(*_ENDED), at)
        return str(run["dag_run_id"])

    def _queued(self) -> str:
        """A run that waits for another one; made if there is none."""

        def found() -> list[dict[str, Any]] | None:
            if self.unfinished() < 2:
                self.start()
            return self.runs("queued") or None

        return str(self.until("a queued run", found)[0]["dag_run_id"])

    def _mark(self, act: Act) -> str:
        what, state = act.target.split()
        if what == "run":
            return self._do(lambda: self._mark_run(state, act.at))

        def once() -> str:
            task = self._choose("a running task", lambda: self._tasks("running"), act.at)
            index = f"/{task['map_index']}" if task["map_index"] >= 0 else ""
            path = f"/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}{index}"
            self.call("PATCH", path, {"new_state": state})
            return _named(task)

        return self._do(once)

    def _mark_run(self, state: str, at: float) -> str:
        run = self._choose("a running run", lambda: self.runs("running"), at)["dag_run_id"]
        self.call("PATCH", f"/dagRuns/{run}", {"state": state})
        return str(run)


def _named(task: dict[str, Any]) -> str:
    index = f"[{task['map_index']}]" if task["map_index"] >= 0 else ""
    return f"{task['task_id']}{index} ({task['state']}) of {task['dag_run_id']}"
