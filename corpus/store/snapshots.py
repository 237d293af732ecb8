"""Published snapshots, as services and readers see them: manifests and the files they list.

    snapshots/log/<sequence>.json    who may publish number <sequence>: created once
    snapshots/<id>/manifest.json     the snapshot: written last, and whole, by `publish`
    snapshots/<id>/stats.json        counts and histograms that the next update starts from
    snapshots/latest.json            id of the newest snapshot
    data/<table>/<sha256>.parquet    the rows, shared by all snapshots that list them

A snapshot reads only what its manifest lists, never a Delta table: vacuum cannot touch it.
"""

from __future__ import annotations

import base64
from functools import cached_property

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from corpus.errors import BadInputError, NotFoundError
from corpus.store import format as formats
from corpus.store.content_digest import ContentDigest
from corpus.store.manifest import MANIFEST, Contents, Manifest, manifest_key, no_cuts
from corpus.store.object_store import Store
from corpus.store.records import read_record
from corpus.store.snapshot_rows import SnapshotRows
from corpus.store.statistics import STATISTICS, Statistics, no_counts, no_statistics

LATEST = "snapshots/latest.json"


class Latest(TypedDict):
    """Which snapshot is the newest, and the digest of its manifest."""

    id: str
    manifest_digest: str


_LATEST = TypeAdapter(Latest)


class Snapshot(SnapshotRows):
    """One published snapshot: `id`, `sequence` (1 is the first) and its `manifest`."""

    def __init__(self, store: Store, manifest: Manifest):
        super().__init__(store, manifest, manifest["tables"])
        self.manifest = manifest
        self.id: str = manifest["id"]

    @classmethod
    def open(cls, store: Store, snapshot_id: str = "latest") -> Snapshot:
        """Open a snapshot by its id, or the newest. Raises `NotFoundError`, `DamagedError`, and
        `BadInputError` if the corpus has another format.
        """
        if not isinstance(snapshot_id, str):
            raise BadInputError(
                "is not a text.", field="id", hint="Name a snapshot by its id, or `latest`."
            )
        formats.check(store)
        if snapshot_id == "latest":
            latest = cls.latest(store)
            if isinstance(latest, EmptySnapshot):
                store.require_root()
                raise NotFoundError(
                    f"{store.url} has no snapshot yet.",
                    hint="Publish an update first: `collect` begins one.",
                )
            return latest
        key = manifest_key(snapshot_id)
        if "/" in snapshot_id or not store.exists(key):
            store.require_root()
            raise NotFoundError(
                f"{store.url} has no snapshot {snapshot_id!r}.",
                hint="`corpus snapshots list` shows those it has.",
                snapshot=snapshot_id,
            )
        manifest = read_record(store, key, MANIFEST)
        formats.require(manifest["format"], f"{store.url}/{key}")
        return cls(store, manifest)

    @classmethod
    def latest(cls, store: Store) -> Parent:
        """Return the newest snapshot, or the empty one if none is published. Raises `DamagedError`."""
        formats.check(store)
        if not store.exists(LATEST):
            return EmptySnapshot(store)
        return cls.open(store, read_record(store, LATEST, _LATEST)["id"])

    @classmethod
    def every(cls, store: Store) -> list[Snapshot]:
        """All published snapshots, the oldest first. Raises `DamagedError`."""
        formats.check(store)
        found = [
            cls(store, read_record(store, key, MANIFEST))
            for key in store.list("snapshots")
            if key.count("/") == 2 and key.endswith("/manifest.json")
        ]
        return sorted(found, key=lambda snapshot: snapshot.sequence)

    @cached_property
    def stats(self) -> Statistics:
        """The snapshot's statistics. Raises `NotFoundError` and `DamagedError`."""
        return read_record(self.store, f"snapshots/{self.id}/stats.json", STATISTICS)

    @property
    def digest(self) -> str:
        """The digest of the manifest, which the manifest of the next snapshot names."""
        return self.manifest["manifest_digest"]

    @property
    def nothing_new(self) -> str:
        """What to say of an update that changes nothing in this snapshot."""
        return f"nothing new since snapshot {self.id} of {self.manifest['created_at']}."


class EmptySnapshot(SnapshotRows):
    """What the first update builds on: a snapshot without rows, that has no id and no file."""

    id = None
    digest = None
    nothing_new = "there is nothing to publish: no samples and no verdicts were found."

    def __init__(self, store: Store):
        nothing = ContentDigest()
        self.manifest: Contents = {
            "sequence": 0,
            "label_policy": {"digest": None},
            "splits": no_cuts(),
            "feature_sets": {},
            "counts": no_counts(),
            "content_digest": nothing.hexdigest(),
            "content_state": base64.b64encode(nothing.state).decode(),
        }
        super().__init__(store, self.manifest, {})

    @cached_property
    def stats(self) -> Statistics:
        """Statistics of nothing."""
        return no_statistics()


# What an update builds on.
Parent = Snapshot | EmptySnapshot


def parent_of(store: Store, snapshot_id: str | None) -> Parent:
    """The snapshot of this id; the empty one for None. Raises `NotFoundError` and `DamagedError`."""
    return EmptySnapshot(store) if snapshot_id is None else Snapshot.open(store, snapshot_id)
