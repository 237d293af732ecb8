"""An update: its record, its staged parts, and the snapshot that it builds on.

staging/<update id>/update.json    its record (corpus.store.update_record)
staging/<update id>/<table>/...    its staged parts (corpus.store.parts)
staging/<update id>/end.json       how it ends (corpus.store.ending)
staging/<update id>/typed.json     places that a person has typed for it (corpus.services.context)
"""

from __future__ import annotations

from corpus.contract.run_identity import RunIdentity
from corpus.errors import ConflictError, NotFoundError, PassingFaultError
from corpus.store import format as formats
from corpus.store.cleaning import being_cleaned
from corpus.store.ending import abandoned, end_of
from corpus.store.object_store import Store
from corpus.store.parts import StagedParts
from corpus.store.snapshots import Parent, Snapshot, parent_of
from corpus.store.update_record import (
    UpdateRecord,
    create_record,
    record_key,
    require_later,
    require_update_id,
    update_record,
)


class Update(StagedParts):
    """The staged parts of one update, with its `record` and the `parent` snapshot it builds on.

    The parent of the first update is empty. In a workspace (see corpus.isolation) it is too, and the
    record says which `sequence` the update has.
    """

    def __init__(self, store: Store, record: UpdateRecord, parent: Parent):
        self.record = record
        self.parent = parent
        super().__init__(store, record["id"], record.get("sequence") or parent.sequence + 1)

    @classmethod
    def open(cls, store: Store, update_id: str, run: RunIdentity | None = None) -> Update:
        """Begin an update, or go on with one. `run` is kept as the identity of who began it.

        Raises `BadInputError` if the id is not one, `ConflictError` if the update was abandoned, or has a name
        from before the latest snapshot, `PassingFaultError` while blobs are removed, and `DamagedError` if its
        record is broken.
        """
        require_update_id(update_id)
        formats.begin(store)
        if not store.exists(record_key(update_id)):
            latest = Snapshot.latest(store).id
            require_later(update_id, latest)
            create_record(store, update_id, latest, run or {})
        if end_of(store, update_id) == "abandon":
            raise abandoned(update_id)
        # Asked only now that the update is there to be seen: one of the two waits for the other.
        if being_cleaned(store):
            raise PassingFaultError(
                f"`corpus clean --blobs` is at work in {store.url}.",
                hint="No update goes on while blobs are removed. Retry in a minute.",
            )
        return cls.begun(store, update_id)

    @classmethod
    def begun(cls, store: Store, update_id: str) -> Update:
        """An update that was begun, however it ends. Raises `NotFoundError` and `DamagedError`."""
        record = update_record(store, update_id)
        return cls(store, record, parent_of(store, record["parent"]))

    def refuse_if_stale(self) -> None:
        """Raise `ConflictError` if another update has published since this one began."""
        latest = Snapshot.latest(self.store)
        if latest.id not in (self.id, self.parent.id):
            raise ConflictError(
                f"update {self.id} was built on {self.parent.id or 'an empty corpus'}, "
                f"but {latest.id or 'nothing'} is the latest snapshot now.",
                hint="Nothing was published. Start a new update; it finds what is still new.",
                update=self.id,
            )


def existing(store: Store, update_id: str) -> Update:
    """An update that was begun before; `NotFoundError` otherwise."""
    formats.check(store)
    if not store.exists(record_key(update_id)):
        store.require_root()
        raise NotFoundError(
            f"there is no update {update_id!r} in {store.url}.",
            hint="Check the id. `collect` begins an update, and prints its id.",
            update=update_id,
        )
    return Update.open(store, update_id)
