"""An update that waited for another one says so in its note."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from airflow.models import DagRun
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunType
from sqlalchemy.orm import Session

from tests.dags.test_schedule import create, session, started

__all__ = ["session"]

pytestmark = pytest.mark.usefixtures("airflow_db")

LONG = timedelta(minutes=20)


def waited(session: Session, time: timedelta, *, other_ended: timedelta) -> DagRun:
    """A manual run that was queued some time ago, and another that has ended some time ago."""
    now = datetime.now(UTC)
    other = create(session, now - timedelta(days=1), DagRunType.MANUAL)
    other.state, other.end_date = DagRunState.SUCCESS, now - other_ended
    run = create(session, now - time, DagRunType.MANUAL)
    run.queued_at = now - time
    return run


def test_a_run_that_waited_names_the_other_one(session: Session) -> None:
    run = waited(session, LONG, other_ended=timedelta(seconds=5))
    (other,) = session.query(DagRun).filter(DagRun.end_date.is_not(None)).all()
    assert started(session, run).note == (
        f"Waited 20 minutes for the run {other.run_id} to end: a corpus has one update at a time."
    )


def test_a_note_of_a_person_stays(session: Session) -> None:
    run = waited(session, LONG, other_ended=timedelta(seconds=5))
    run.note = "The verdicts of May"
    assert started(session, run).note == "The verdicts of May"


@pytest.mark.parametrize(
    ("time", "ended"),
    [(timedelta(seconds=20), timedelta(seconds=5)), (LONG, timedelta(hours=1))],
    ids=["not long", "for something else"],
)
def test_any_other_run_has_no_note(session: Session, time: timedelta, ended: timedelta) -> None:
    assert started(session, waited(session, time, other_ended=ended)).note is None
