"""What a person is told while a run goes on."""

from __future__ import annotations

import pytest

from deploy.common.airflow_api import AirflowApi
from deploy.common.errors import AnswerError, UnavailableError
from deploy.local import follow

pytestmark = pytest.mark.fast


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
