"""What a person is told of runs and tasks that wait, with the answers that a real API gives.

tests/deploy/local/embedded and tests/system/cluster ask a real one.
"""

from __future__ import annotations

import inspect
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.common.airflow_api import AirflowApi
from deploy.local import waits
from deploy.local.waits import Waits, at_work

pytestmark = pytest.mark.fast

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AGO = (datetime.now(UTC) - timedelta(minutes=2)).isoformat()


def task(
    name: str, state: str | None, index: int = -1, began: int = 0, took: float = 0.0
) -> dict[str, Any]:
    return {
        "task_id": name,
        "state": state,
        "map_index": index,
        "start_date": (NOW - timedelta(seconds=began)).isoformat() if began else None,
        "duration": took or None,
        "pool": "default_pool",
        "pool_slots": 1,
        "hostname": "worker-2",
        "try_number": 1,
    }


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([], "nothing has begun yet"),
        ([task("collect", None)], "nothing has begun yet"),
        ([task("collect", "running", began=12)], "collect running 12 s"),
        ([task("collect", "success"), task("ingest", "queued", 0)], "ingest waits for a worker"),
        ([task("ingest", "scheduled", 0), task("label", "running", began=3)],
         "ingest waits for a slot; label running 3 s"),
        ([task("ingest", "queued", 0), task("ingest", "queued", 1), task("ingest", "success", 2)],
         "ingest (2 of 3) waits for a worker"),
        ([task("collect", "success"), task("ingest", None)],
         "waits for the scheduler to begin the next task"),
        ([task("extract", "up_for_retry", 0)], "extract waits for its next try"),
        ([task("approve", "awaiting_input")], "approve waits for somebody's answer"),
        # 4 shards of 10 s each are left, and 2 are worked on at once.
        ([task("extract", "success", n, 50, 10.0) for n in range(2)]
         + [task("extract", "running", 2, 7), task("extract", "running", 3, 5)]
         + [task("extract", "scheduled", n) for n in (4, 5)],
         "extract running 7 s, 2 of 6 done, about 20 s more"),
        ([task("extract", "running", 0, 7), task("extract", "scheduled", 1)],
         "extract running 7 s, 0 of 2 done"),
        ([task("extract", "running", 0, 7), task("extract", "up_for_retry", 1)],
         "extract running 7 s, 0 of 2 done; extract (1 of 2) waits for its next try"),
    ],
)  # fmt: skip
def test_what_runs_what_waits_and_how_long(tasks, said):
    assert at_work(tasks, NOW) == said


class Api(AirflowApi):
    """Answers from what it is given, by path."""

    def __init__(self, **answers: Any) -> None:
        super().__init__("http://127.0.0.1:1", "a", "b")
        self.answers = answers

    def call(self, method: str, path: str, **_: Any) -> Any:
        if path.endswith("/taskInstances"):
            return {"task_instances": self.answers["tasks"], "total_entries": 0}
        if "/logs/" in path:
            return {"content": self.answers["log"]}
        if path.endswith("/dagRuns"):
            return {"dag_runs": self.answers["active"]}
        if "/dagRuns/" in path:
            return self.answers["run"]
        return self.answers["pool" if path.startswith("pools/") else "dag"]


def run(id: str = "mine", state: str = "running", **more: Any) -> dict[str, Any]:
    return {
        "dag_id": "corpus_update",
        "dag_run_id": id,
        "state": state,
        "queued_at": AGO,
        "run_after": AGO,
        "logical_date": None,
        "bundle_version": "1.4.0",
        **more,
    }


def told(given: dict[str, Any], **answers: Any) -> str:
    return Waits(Api(**answers)).of(given)


def test_a_queued_run_says_which_run_holds_its_place_and_what_that_is_at():
    mine, other = run(state="queued"), run("other")
    said = told(mine, active=[other, mine], run=other, tasks=[task("ingest", "queued")])
    assert re.fullmatch(
        r"waits for run other to end, \d+ s so far; there: ingest waits for a worker", said
    )


def test_a_queued_run_of_a_paused_dag_says_so():
    mine = run(state="queued")
    said = told(mine, active=[mine], dag={"is_paused": True})
    assert re.fullmatch(r"waits until somebody unpauses corpus_update, \d+ s so far", said)


def test_a_queued_run_that_nothing_holds_waits_for_the_scheduler():
    mine = run(state="queued")
    said = told(mine, active=[mine, run("another", "queued")], dag={"is_paused": False})
    assert re.fullmatch(
        r"waits for the scheduler, \d+ s so far: no run of corpus_update is under way, 1 others are queued",
        said,
    )


def test_a_run_of_a_day_to_come_says_which():
    given = run(logical_date="2130-01-01T00:00:00Z")
    assert told(given, tasks=[task("collect", None)]) == "waits for its date, 2130-01-01 00:00 UTC"


def test_a_full_pool_is_named():
    pool = {"name": "default_pool", "slots": 4, "occupied_slots": 4, "open_slots": 0}
    given = {"tasks": [task("ingest", "scheduled")]}
    assert told(run(), pool=pool, **given) == (
        "ingest waits for a slot of the pool default_pool (4 of 4 taken)"
    )
    assert told(run(), pool={**pool, "open_slots": -1}, **given) == "ingest waits for a slot"
    assert told(run(), pool={**pool, "open_slots": 2}, **given) == "ingest waits for a slot"


def test_a_task_whose_host_lacks_the_release_says_which_and_where():
    tasks = [task("extract", "up_for_reschedule", 0), task("extract", "up_for_reschedule", 1)]
    log = [
        "begins",
        {"event": "This host has not got release 1.4.0, which the run began with: ..."},
    ]
    assert told(run(), tasks=tasks, log=log) == (
        "extract (2 of 2) waits for release 1.4.0 on worker-2, which has not got it"
    )
    assert told(run(), tasks=tasks, log=["pokes"]) == (
        "extract (2 of 2) waits, and looks again soon"
    )


def test_the_words_that_tell_a_missing_release_are_those_of_the_bundle():
    from operators.releases import bundle

    assert waits._NO_RELEASE in inspect.getsource(bundle)
