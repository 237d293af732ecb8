"""Ends an update that nobody will finish: its services refuse to go on, and others may publish."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from corpus.errors import ConflictError, NotFoundError
from corpus.store import format as formats
from corpus.store import manifest as manifests
from corpus.store.claims import release_claim
from corpus.store.ending import settle
from corpus.store.object_store import Store
from corpus.store.staging import Update
from corpus.store.update_record import record_key


class AbandonReport(BaseModel):
    model_config = ConfigDict(extra="forbid")

    update: str = Field(description="Id of the update.")
    began_at: str = Field(description="When it began.")
    freed: int | None = Field(
        description="Number of the snapshot that it had claimed; another update may publish it now."
    )


def abandon(store: Store, update_id: str) -> AbandonReport:
    """Abandon an update; its staging is kept for `clean`. Doing so again is not an error.

    Raises `NotFoundError` for an update that was never begun, and `ConflictError` for one that is published or
    whose publication has begun to commit rows: that one can only be ended by `publish`.
    """
    formats.check(store)
    if "/" not in update_id and store.exists(manifests.manifest_key(update_id)):
        raise ConflictError(
            f"update {update_id} is published.",
            hint="A snapshot cannot be taken back; its staging area goes with `corpus clean`.",
            update=update_id,
        )
    if "/" in update_id or not store.exists(record_key(update_id)):
        store.require_root()
        raise NotFoundError(
            f"there is no update {update_id!r} in {store.url}.",
            hint="`corpus clean --dry-run` names those that are unfinished.",
            update=update_id,
        )
    # Not by `Update.open`, which refuses an update that was abandoned.
    update = Update.begun(store, update_id)
    # Settled before the claim is given up: from here on no publication of it commits a row.
    if settle(store, update_id, "abandon") == "publish":
        raise ConflictError(
            f"update {update_id} has begun to commit its rows.",
            hint=f"`corpus publish --update {update_id}` ends it.",
            update=update_id,
        )
    released = release_claim(store, update_id, update.sequence)
    return AbandonReport(
        update=update_id,
        began_at=update.record["began_at"],
        freed=update.sequence if released else None,
    )
