"""What the scheduler does about overdue updates: only the newest one comes, and its note says so.

The plugin registers this module; Airflow calls its hook when the scheduler starts. The note is written when a
run starts (see operators.scheduling.starts).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from airflow.models import DagRun

# Other DAGs of the same Airflow are none of the corpus's business.
DAG_ID = "corpus_update"
# An idle scheduler starts a run within seconds of its time.
LATE_AFTER = timedelta(minutes=5)


@hookimpl
def on_starting(component: Any) -> None:
    """Forget midnights that passed while no scheduler ran, except the last one.

    Airflow does the same each time it parses a DAG. After an outage its scheduler may be faster than the
    first parse; it then makes a run for the midnight that was due when it stopped, and another one for the
    last midnight.
    """
    # Tasks' processes call this too; they have no database, and would wait for the imports below.
    if type(component).__name__ != "Job":
        return
    from airflow.models import DagModel, DagRun
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType
    from sqlalchemy import select

    # Not the session that whoever makes the job may have open.
    with create_session(scoped=False) as session:
        stored = session.get(DagModel, DAG_ID)
        serialized = SerializedDagModel.get(DAG_ID, session=session)
        if stored is None or serialized is None:
            return
        last = session.scalars(
            select(DagRun)
            .where(
                DagRun.dag_id == DAG_ID,
                DagRun.run_type.in_([DagRunType.SCHEDULED, DagRunType.BACKFILL_JOB]),
            )
            .order_by(DagRun.logical_date.desc())
            .limit(1)
        ).first()
        stored.calculate_dagrun_date_fields(serialized.dag, reference_run=last)


def note(dag_run: DagRun, began: datetime) -> None:
    """Note on an overdue update which midnight it is for. A note that is there already stays."""
    due = dag_run.run_after
    if dag_run.run_type == "scheduled" and not dag_run.note and began - due >= LATE_AFTER:
        dag_run.note = overdue_note(due, began)


def overdue_note(due: datetime, began: datetime) -> str:
    """Return the note of a run that was due at one time and began at another."""
    return (
        f"Overdue: this is the update of {due.astimezone(UTC):%Y-%m-%d %H:%M} UTC. It began at "
        f"{began.astimezone(UTC):%Y-%m-%d %H:%M} UTC, after a pause, an outage or a long run. It takes in "
        "all that is new; earlier updates that were missed do not come."
    )
