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
from corpus.errors import BadInputError, ConflictError
from corpus.store.object_store import Store, to_json
from corpus.store.records import read_record

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# The ids that are made here and for runs of Airflow; a person may choose any other.
_TIMED = re.compile(r"\d{8}T\d{6}[.-].*")


class UpdateRecord(TypedDict):
    """What an update is, fixed when it begins; `parent` is the snapshot it builds on, null for the
    first; `began_at` is ISO 8601, to the microsecond; `run` says for whom, and is empty if nobody did.

    In a workspace (see corpus.isolation), which does not have the parent, `sequence` is the number of the
    update, and nobody says for whom it is.
    """

    id: str
    parent: str | None
    began_at: str
    run: RunIdentity
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


def require_later(update_id: str, snapshot: str | None) -> None:
    """Raise `ConflictError` if an update that begins now is named after a time before its parent's.

    So ids that are times sort as their snapshots were published. Ids that a person chose sort as they may, and
    nobody waits for the time of a snapshot from a clock that was ahead.
    """
    if snapshot is None or not _TIMED.fullmatch(update_id) or not _TIMED.fullmatch(snapshot):
        return
    if update_id < snapshot < new_update_id():
        raise ConflictError(
            f"update {update_id} has not begun yet, and snapshot {snapshot} is newer than its name.",
            hint="Start a new update; it finds what is still new.",
            update=update_id,
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
