"""When the master DAG runs by itself, and what an overdue run says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models import DagModel, DagRun
from airflow.models.dagbag import DBDagBag
from airflow.serialization.definitions.dag import SerializedDAG
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables import trigger
from airflow.timetables.base import DagRunInfo
from airflow.utils.session import create_session
from airflow.utils.sqlalchemy import prohibit_commit
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from operators.scheduling import overdue
from tests.support import airflow_home

DAG_ID = "corpus_update"
DAY = timedelta(days=1)
TODAY = datetime(2026, 11, 30, tzinfo=UTC)
# Between 00:00 and 02:24 Airflow's own default would run a DAG at once for the past midnight.
TIMES = [timedelta(minutes=1), timedelta(hours=2), timedelta(hours=23, minutes=59)]


@pytest.fixture(scope="module")
def dag() -> SerializedDAG:
    """The DAG as the scheduler gets it: written to the database and read from it."""
    parsed = DagBag(airflow_home.REPO / "dags" / "corpus_update.py").dags[DAG_ID]
    return DagSerialization.from_dict(DagSerialization.to_dict(parsed))


def following(dag: SerializedDAG, last: datetime | None) -> datetime:
    info = DagRunInfo.interval(last, last) if last else None
    found = dag.next_dagrun_info(last_automated_run_info=info)
    assert found is not None
    return found.run_after


@pytest.mark.parametrize("time", TIMES, ids=str)
def test_the_first_unpause_waits_for_the_next_midnight(
    dag: SerializedDAG, time: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trigger, "utcnow", lambda: TODAY + time)
    assert following(dag, None) == TODAY + DAY


@pytest.mark.parametrize("time", TIMES, ids=str)
@pytest.mark.parametrize("days", [1, 2, 30])
def test_after_a_pause_one_overdue_run_comes_for_the_last_midnight(
    dag: SerializedDAG, time: timedelta, days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trigger, "utcnow", lambda: TODAY + time)
    overdue_run = following(dag, TODAY - days * DAY)
    assert overdue_run == TODAY
    assert following(dag, overdue_run) == TODAY + DAY


def test_midnight_is_utcs_whatever_airflows_own_time_zone(dag: SerializedDAG) -> None:
    assert dag.timetable.serialize()["timezone"] == "UTC"
    assert dag.timetable.summary == "0 0 * * *"


@pytest.fixture
def session() -> Iterator[Session]:
    """A session on Airflow's database, in which the DAG is known, unpaused and has no run."""
    DagBundlesManager().sync_bundles_to_db()
    with create_session() as session:
        sync_bag_to_db(DagBag(airflow_home.REPO / "dags"), "dags-folder", None, session=session)
        clean(session, paused=False)
        yield session
        session.rollback()
        clean(session, paused=True)


def clean(session: Session, *, paused: bool) -> None:
    session.execute(delete(DagRun).filter_by(dag_id=DAG_ID))
    stored = session.get_one(DagModel, DAG_ID)
    stored.is_paused = paused
    stored.exceeds_max_non_backfill = False
    session.commit()


def create(session: Session, due: datetime, run_type: DagRunType) -> DagRun:
    dag = DBDagBag().get_latest_version_of_dag(DAG_ID, session=session)
    assert dag is not None
    return dag.create_dagrun(
        run_id=f"{run_type}__{due.isoformat()}",
        logical_date=due,
        data_interval=(due, due),
        run_after=due,
        run_type=run_type,
        triggered_by=DagRunTriggeredByType.TIMETABLE,
        state=DagRunState.QUEUED,
        session=session,
    )


def runs_after_a_start(session: Session) -> list[datetime]:
    """The midnights that a scheduler makes runs for, from its start on, each run ending at once."""
    runner = SchedulerJobRunner(job=Job())
    for _ in range(4):
        session.expire_all()
        with prohibit_commit(session) as guard:
            runner._create_dagruns_for_dags(guard, session)
        for run in session.scalars(select(DagRun).filter_by(dag_id=DAG_ID)):
            run.state = DagRunState.SUCCESS
        session.get_one(DagModel, DAG_ID).exceeds_max_non_backfill = False
        session.commit()
    found = select(DagRun.run_after).filter_by(dag_id=DAG_ID).order_by(DagRun.run_after)
    return list(session.scalars(found))


@pytest.mark.usefixtures("airflow_db")
@pytest.mark.parametrize("began", [True, False], ids=["ran-before", "never-ran"])
def test_a_scheduler_that_was_away_for_days_makes_one_run_at_most(
    session: Session, began: bool
) -> None:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if began:
        create(session, midnight - 4 * DAY, DagRunType.SCHEDULED).state = DagRunState.SUCCESS
    # What the scheduler had in mind when it was stopped, three days ago.
    stored = session.get_one(DagModel, DAG_ID)
    stored.next_dagrun = stored.next_dagrun_create_after = midnight - 3 * DAY
    stored.next_dagrun_data_interval = (midnight - 3 * DAY, midnight - 3 * DAY)
    session.commit()
    expected = [midnight - 4 * DAY, midnight] if began else []
    assert runs_after_a_start(session) == expected


def started(session: Session, run: DagRun) -> DagRun:
    """The run as the database has it, after a scheduler has started it."""
    session.commit()
    SchedulerJobRunner(job=Job())._start_queued_dagruns(session)
    session.commit()
    session.expire_all()
    assert run.state == DagRunState.RUNNING
    return run


@pytest.mark.usefixtures("airflow_db")
def test_an_overdue_run_says_which_midnight_it_is_for(session: Session) -> None:
    due = datetime.now(UTC) - timedelta(hours=2)
    run = started(session, create(session, due, DagRunType.SCHEDULED))
    assert run.note is not None
    assert run.note.startswith(f"Overdue: this is the update of {due:%Y-%m-%d %H:%M} UTC.")
    assert f"began at {run.start_date:%Y-%m-%d %H:%M} UTC" in run.note


@pytest.mark.usefixtures("airflow_db")
def test_an_overdue_run_is_named_after_its_start_and_the_next_one_keeps_its_time(
    session: Session, dag: SerializedDAG
) -> None:
    """Else its snapshot would sort before one that a person published while the DAG was paused."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    run = started(session, create(session, midnight - DAY, DagRunType.SCHEDULED))
    assert run.run_after == run.start_date
    assert run.logical_date == midnight - DAY
    stored = session.get_one(DagModel, DAG_ID)
    stored.calculate_dagrun_date_fields(dag, reference_run=run)
    assert stored.next_dagrun_create_after == midnight


@pytest.mark.usefixtures("airflow_db")
def test_a_note_of_a_person_stays(session: Session) -> None:
    run = create(session, datetime.now(UTC) - DAY, DagRunType.SCHEDULED)
    run.note = "Wait for the new verdicts"
    assert started(session, run).note == "Wait for the new verdicts"


@pytest.mark.usefixtures("airflow_db")
@pytest.mark.parametrize(
    ("late", "run_type", "cleared"),
    [
        (timedelta(seconds=10), DagRunType.SCHEDULED, 0),
        (2 * DAY, DagRunType.MANUAL, 0),
        (2 * DAY, DagRunType.SCHEDULED, 1),
    ],
    ids=["in-time", "by-hand", "cleared-later"],
)
def test_a_run_that_is_not_overdue_has_no_note(
    session: Session, late: timedelta, run_type: DagRunType, cleared: int
) -> None:
    run = create(session, datetime.now(UTC) - late, run_type)
    run.clear_number = cleared
    assert started(session, run).note is None


def test_notes_and_schedule_are_of_the_same_dag(dag: SerializedDAG) -> None:
    assert dag.dag_id == overdue.DAG_ID
