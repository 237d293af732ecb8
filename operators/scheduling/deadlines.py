"""From when on a run can be late."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.definitions.deadline import BaseDeadlineReference

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class RunQueued(BaseDeadlineReference):
    """When a run was queued first.

    Airflow has this as `DeadlineReference.DAGRUN_QUEUED_AT`; with that one, its 3.3.2 answers with an
    error of its own to whoever clears a task of an unfinished run. The plugin registers this class.
    """

    required_kwargs: ClassVar[set[str]] = {"dag_id", "run_id"}

    def _evaluate_with(self, *, session: Session, **kwargs: Any) -> datetime | None:
        from airflow.models import DagRun
        from sqlalchemy import select

        queued: datetime | None = session.scalar(select(DagRun.queued_at).filter_by(**kwargs))
        return queued
