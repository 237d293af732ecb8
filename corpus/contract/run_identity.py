"""The identity of a run, for schedulers that have only names for one."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

# Fixed for good: another namespace would give every past run another identity.
NAMESPACE = uuid.UUID("6d2a7c57-9b0e-5c43-8f5e-0c9a1f6f3b21")


def run_uuid(dag_id: str, run_id: str) -> str:
    """UUIDv5 (RFC 9562) of a DAG run: the same run has the same one everywhere, with no look-up."""
    return str(uuid.uuid5(NAMESPACE, f"{dag_id}/{run_id}"))


def update_id(began: datetime, run: str) -> str:
    """The update that a run works in: sorts by time, and the same for all tasks and tries of the run.

    `began` is the time the run stands for (aware), `run` its UUID.
    """
    return f"{began.astimezone(UTC):%Y%m%dT%H%M%S}-{run[:8]}"
