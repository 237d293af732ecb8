"""An update's record: its id, the snapshot it builds on, when it began, and for whom.

staging/<update id>/update.json
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from corpus.contract.run_identity import RunIdentity
from corpus.errors import BadInputError
from corpus.store.object_store import Store, to_json
from corpus.store.records import read_record

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class UpdateRecord(TypedDict):
    """What an update is, fixed when it begins; `parent` is the snapshot it builds on, null for the
    first; `began_at` is ISO 8601, to the microsecond.

    In a workspace (see corpus.isolation), which does not have the parent, `sequence` is the number of the
    update, and nobody says when it began or for whom.
    """

    id: str
    parent: str | None
    began_at: NotRequired[str]
    run: NotRequired[RunIdentity]
    sequence: NotRequired[int]


UPDATE_RECORD = TypeAdapter(UpdateRecord)


def new_update_id(now: datetime | None = None) -> str:
    """A fresh id that sorts by time, for an update begun by hand."""
    return (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"


def record_key(update_id: str) -> str:
    """Where an update's record is kept, from its beginning until its staging area is removed."""
    return f"staging/{update_id}/update.json"


def require_update_id(update_id: str) -> None:
    """Raise `BadInputError` if an update cannot have this id."""
    if not _ID.fullmatch(update_id):
        raise BadInputError(
            f"{update_id!r} is not an update id: letters, digits, '.', '_' and '-' only.",
            field="update",
        )


def create_record(store: Store, update_id: str, parent: str | None, run: RunIdentity) -> None:
    """Write the record of an update, unless another process was faster."""
    record: UpdateRecord = {
        "id": update_id,
        "parent": parent,
        "began_at": datetime.now(UTC).isoformat(),
        "run": run,
    }
    store.create_bytes(record_key(update_id), to_json(record))


def update_record(store: Store, update_id: str) -> UpdateRecord:
    """Read an update's record. Raises `NotFoundError` and `DamagedError`."""
    return read_record(store, record_key(update_id), UPDATE_RECORD)
