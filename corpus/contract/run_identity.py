"""The identity of a run, for schedulers that have only names for one."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

# Before Python 3.12 pydantic checks only TypedDicts of this module.
from typing_extensions import TypedDict

from corpus.errors import BadSettingError

# Fixed for good: another namespace would give every past run another identity.
NAMESPACE = uuid.UUID("6d2a7c57-9b0e-5c43-8f5e-0c9a1f6f3b21")


class Image(TypedDict):
    """A container image: its name, and the digest (`sha256:...`) that its engine knows it by."""

    name: str
    digest: str


class RunIdentity(TypedDict, total=False):
    """Who asks for the work: kept in an update's record and in the manifest of its snapshot.

    A run by hand says nothing, so every key may be absent. `map_index` is -1 for a task that is not
    mapped; `try_number` is 1 at first. `image` and `sandbox_image` are told to a service, and kept
    with its update (see corpus.store.provenance), not in a record of who asked.
    """

    dag_id: str
    run_id: str
    run_uuid: str
    run_type: str
    triggered_by: str | None
    task_id: str
    map_index: int | None
    try_number: int
    task_instance_id: str
    image: Image
    sandbox_image: Image


_IDENTITY = TypeAdapter(RunIdentity)


def parse_identity(text: str, field: str) -> RunIdentity:
    """Read an identity from JSON; unknown keys are kept. Raises `BadSettingError` naming the field."""
    try:
        found = json.loads(text)
        _IDENTITY.validate_python(found, strict=True)
    except json.JSONDecodeError as error:
        raise BadSettingError(f"not a JSON object: {error}.", field=field) from error
    except ValidationError as error:
        first = error.errors()[0]
        named = ".".join([field, *map(str, first["loc"])])
        raise BadSettingError(f"{first['msg']}.", field=named) from error
    return found  # type: ignore[no-any-return]


def run_uuid(dag_id: str, run_id: str) -> str:
    """UUIDv5 (RFC 9562) of a DAG run: the same run has the same one everywhere, with no look-up."""
    return str(uuid.uuid5(NAMESPACE, f"{dag_id}/{run_id}"))


def update_id(began: datetime, run: str) -> str:
    """The update that a run works in: sorts by time, and the same for all tasks and tries of the run.

    `began` is when the run started first (aware), `run` its UUID.
    """
    return f"{began.astimezone(UTC):%Y%m%dT%H%M%S}-{run[:8]}"
