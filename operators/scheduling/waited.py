"""A note on an update that could not begin at once, since another one was under way: which one, and for how long.

It is written when the run starts (see operators.scheduling.starts). While a run waits, `make cluster-status` and
`make cluster-run` say so: Airflow calls no hook then.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from operators.scheduling.overdue import DAG_ID, LATE_AFTER

if TYPE_CHECKING:
    from airflow.models import DagRun


def note(dag_run: DagRun, began: datetime) -> None:
    """Note for which run a manual update has waited. A note that is there already stays; one by schedule has its own."""
    queued = dag_run.queued_at
    if dag_run.dag_id != DAG_ID or dag_run.run_type == "scheduled" or not queued:
        return
    if dag_run.note or began - queued < LATE_AFTER:
        return
    from airflow.models import DagRun
    from sqlalchemy import select
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    other = session and session.scalar(
        select(DagRun.run_id)
        .where(DagRun.dag_id == DAG_ID, DagRun.end_date.between(queued, began))
        .order_by(DagRun.end_date.desc())
        .limit(1)
    )
    if other:
        dag_run.note = waited_note(other, began - queued)


def waited_note(other: str, waited: timedelta) -> str:
    """Return the note of a run that has waited so long for another one."""
    minutes = waited.total_seconds() / 60
    return f"Waited {minutes:.0f} minutes for the run {other} to end: a corpus has one update at a time."
