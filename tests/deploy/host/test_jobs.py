"""How periodic jobs went is written down, whole, and by one of a name at a time."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from deploy.common.errors import DamagedError, HostError, UnavailableError
from deploy.host.jobs import FAILED, OFF, OK, Off, States

pytestmark = pytest.mark.fast

UNDATED = json.dumps(
    {"job": "prune", "started": "", "ended": "yesterday", "status": "ok", "message": ""}
)


@pytest.fixture
def states(tmp_path: Path) -> States:
    return States(tmp_path / "state")


def fail() -> str:
    raise HostError("The disk is full.")


def test_a_success_and_a_failure_leave_both_times(states: States):
    assert states.read("prune") is None
    assert states.run("prune", lambda: "Removed nothing.") == "Removed nothing."
    first = states.read("prune")
    assert first
    assert (first.status, first.message, first.last_failure) == (OK, "Removed nothing.", None)
    assert first.last_success == first.ended >= first.started
    with pytest.raises(HostError, match="disk is full"):
        states.run("prune", fail)
    second = states.read("prune")
    assert second
    assert (second.status, second.message) == (FAILED, "The disk is full.")
    assert (second.last_success, second.last_failure) == (first.ended, second.ended)


def test_what_is_off_is_neither(states: States):
    states.run("prune", lambda: Off("Off: nothing is set."))
    outcome = states.read("prune")
    assert outcome
    assert (outcome.status, outcome.last_success, outcome.last_failure) == (OFF, None, None)


def test_a_job_waits_for_no_other_of_its_name(states: States):
    def again() -> str:
        with pytest.raises(UnavailableError, match="Another `corpus-airflow prune` is under way"):
            states.run("prune", lambda: "")
        return states.run("reap", lambda: "another name")

    assert states.run("prune", again) == "another name"


def test_a_state_is_readable_by_all_and_nothing_else_is_left(states: States):
    before = os.umask(0o077)
    try:
        states.run("prune", lambda: "done")
    finally:
        os.umask(before)
    assert (states.folder / "prune.json").stat().st_mode & 0o777 == 0o644
    assert {path.name for path in states.folder.iterdir()} == {"prune.json", ".prune.lock"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"job": "prune"}', UNDATED])
def test_a_damaged_state_is_told_and_replaced(states: States, text: str):
    states.folder.mkdir()
    (states.folder / "prune.json").write_text(text)
    with pytest.raises(DamagedError, match=r"prune\.json cannot be read"):
        states.read("prune")
    states.run("prune", lambda: "done")
    assert json.loads((states.folder / "prune.json").read_text())["message"] == "done"
