"""Celery's result backend in a database, less all but the state of a task."""

from __future__ import annotations

from typing import Any, ClassVar

from celery.backends.database import DatabaseBackend
from celery.backends.database.models import Task
from celery.backends.database.session import ResultModelBase


class TaskState(ResultModelBase):  # type: ignore[misc]
    """A row of Celery's own table, of which result and traceback are neither read nor written.

    So old rows, and those of a worker that still has Celery's own class, are read as well.
    """

    __table__ = Task.__table__
    __mapper_args__: ClassVar[dict[str, Any]] = {"exclude_properties": ["result", "traceback"]}

    configure = Task.configure

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id

    def to_dict(self) -> dict[str, Any]:
        """As Celery wants it."""
        return {
            "task_id": self.task_id,
            "status": self.status,
            "result": None,
            "traceback": None,
            "date_done": self.date_done,
        }


class StateBackend(DatabaseBackend):  # type: ignore[misc]
    """Keeps the states of tasks, and nothing that would have to be unpickled."""

    task_cls = TaskState
    # Celery would take a class of its own, with pickles again, if `result_extended` is set.
    extended_result = False

    def _save_group(self, group_id: str, result: Any) -> Any:
        raise NotImplementedError("Only states of tasks are kept, and no results of groups.")

    def _restore_group(self, group_id: str) -> None:
        raise NotImplementedError("Only states of tasks are kept, and no results of groups.")
