"""Puts the run's UUID on every log line of a task."""

from __future__ import annotations

from typing import Any

from airflow.listeners import hookimpl
from structlog.contextvars import bind_contextvars

from corpus.contract.run_identity import run_uuid


@hookimpl
def on_task_instance_running(previous_state: Any, task_instance: Any) -> None:
    """Called in the task's process, before `execute`."""
    bind_contextvars(run_uuid=run_uuid(task_instance.dag_id, task_instance.run_id))
