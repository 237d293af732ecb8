"""What a person is told while a run goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.common.airflow_api import AirflowApi
from deploy.common.errors import AnswerError, UnavailableError
from deploy.local import follow
from deploy.local.follow import waiting

pytestmark = pytest.mark.fast

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def task(
    name: str, state: str | None, index: int = -1, began: int = 0, took: float = 0.0
) -> dict[str, Any]:
    return {
        "task_id": name,
        "state": state,
        "map_index": index,
        "start_date": (NOW - timedelta(seconds=began)).isoformat() if began else None,
        "duration": took or None,
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
        ([task("collect", "success"), task("ingest", None)],
         "waits for the scheduler to begin the next task"),
        ([task("extract", "up_for_retry", 0)], "extract waits for its next try"),
        # 4 shards of 10 s each are left, and 2 are worked on at once.
        ([task("extract", "success", n, 50, 10.0) for n in range(2)]
         + [task("extract", "running", 2, 7), task("extract", "running", 3, 5)]
         + [task("extract", "scheduled", n) for n in (4, 5)],
         "extract running 7 s, 2 of 6 done, about 20 s more"),
        ([task("extract", "running", 0, 7), task("extract", "scheduled", 1)],
         "extract running 7 s, 0 of 2 done"),
    ],
)  # fmt: skip
def test_what_runs_what_waits_and_how_long(tasks, said):
    assert waiting(tasks, NOW) == said


def test_a_run_that_airflow_does_not_know_ends_the_waiting(monkeypatch):
    # The API's own errors are tried in tests/deploy/common; here, that they come through.
    def refuse(*_: object) -> None:
        raise AnswerError("answered 404", 404)

    api = AirflowApi("http://127.0.0.1:1", "a", "b")
    monkeypatch.setattr(api, "run_state", refuse)
    with pytest.raises(AnswerError):
        follow.Follower(api, "dag", "run", lambda: None).to_the_end()


def test_airflow_that_is_away_is_waited_for(monkeypatch, capsys):
    looks = iter([UnavailableError("away"), UnavailableError("away"), "success"])

    def state(*_: object) -> str:
        found = next(looks)
        if isinstance(found, Exception):
            raise found
        return found

    api = AirflowApi("http://127.0.0.1:1", "a", "b")
    monkeypatch.setattr(api, "run_state", state)
    monkeypatch.setattr(api, "tasks", lambda *_: [])
    monkeypatch.setattr(follow, "_SILENCE_S", 0.0)
    monkeypatch.setattr(follow.time, "sleep", lambda _: None)
    assert follow.Follower(api, "dag", "run", lambda: None).to_the_end() == "success"
    assert "waits for Airflow to answer again" in capsys.readouterr().out
    looks = iter([UnavailableError("away")])
    monkeypatch.setattr(follow, "_AWAY_S", -1.0)
    with pytest.raises(UnavailableError):
        follow.Follower(api, "dag", "run", lambda: None).to_the_end()
