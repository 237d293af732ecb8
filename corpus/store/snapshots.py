"""Published snapshots, as services and readers see them: manifests and the files they list.

    snapshots/log/<sequence>.json    who may publish number <sequence>: created once, never changed
    snapshots/<id>/manifest.json     the snapshot: written last, and whole, by `publish`
    snapshots/<id>/stats.json        counts and histograms that the next update starts from
    snapshots/latest.json            id of the newest snapshot
    data/<table>/<sha256>.parquet    the rows, shared by all snapshots that list them

A snapshot reads only what its manifest lists, never a Delta table: vacuum cannot touch it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpus.errors import NotFound
from corpus.store.root import Store
from corpus.store.schemas import FEATURES_PREFIX, TABLES, TableSpec, features_spec

LATEST = "snapshots/latest.json"


class Snapshot:
    """One published snapshot: `id`, `sequence` (1 is the first) and its `manifest`."""

    def __init__(self, store: Store, manifest: dict[str, Any]):
        self.store = store
        self.manifest = manifest
        self.id: str = manifest["id"]
        self.sequence: int = manifest["sequence"]

    @classmethod
    def open(cls, store: Store, snapshot_id: str = "latest") -> Snapshot:
        """Open a snapshot by its id, or the newest. Raises `NotFound`."""
        if snapshot_id == "latest":
            latest = cls.latest(store)
            if latest is None:
                raise NotFound(
                    f"{store.url} has no snapshot yet.", hint="Run an update first: `make run`."
                )
            return latest
        key = f"snapshots/{snapshot_id}/manifest.json"
        if "/" in snapshot_id or not store.exists(key):
            raise NotFound(
                f"{store.url} has no snapshot {snapshot_id!r}.",
                hint="`corpus snapshots list` shows those it has.",
                snapshot=snapshot_id,
            )
        return cls(store, store.read_json(key))

    @classmethod
    def latest(cls, store: Store) -> Snapshot | None:
        if not store.exists(LATEST):
            return None
        return cls.open(store, store.read_json(LATEST)["id"])

    @classmethod
    def every(cls, store: Store) -> list[Snapshot]:
        """All published snapshots, the oldest first."""
        found = [
            cls(store, store.read_json(key))
            for key in store.list("snapshots")
            if key.count("/") == 2 and key.endswith("/manifest.json")
        ]
        return sorted(found, key=lambda snapshot: snapshot.sequence)

    @cached_property
    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = self.store.read_json(f"snapshots/{self.id}/stats.json")
        return stats

    @property
    def feature_sets(self) -> dict[str, int]:
        """Names of the feature sets that the snapshot has vectors of, and their dimensions."""
        return dict(self.manifest["feature_sets"])

    def spec(self, table: str) -> TableSpec:
        if table.startswith(FEATURES_PREFIX):
            name = table.removeprefix(FEATURES_PREFIX)
            return features_spec(name, self.feature_sets[name])
        return TABLES[table]

    def files(self, table: str) -> list[dict[str, Any]]:
        """The manifest's entries of a table's files: key, sha256, size in bytes, rows."""
        entry = self.manifest["tables"].get(table)
        return entry["files"] if entry else []

    def scan(
        self,
        table: str,
        columns: Sequence[str] | None = None,
        *,
        where: pc.Expression | None = None,
        keys: Iterable[str] | pa.ChunkedArray | None = None,
    ) -> pa.Table:
        """Rows of a table as they stand in this snapshot: the latest row of each key.

        `keys` restricts to these values of the table's (first) key column. `where` filters before
        the latest row is chosen, so it must name key columns only.
        """
        spec = self.spec(table)
        names = list(columns or spec.schema.names)
        entries = self.files(table)
        if not entries:
            return pa.schema([spec.schema.field(n) for n in names]).empty_table()
        read = list(dict.fromkeys([*names, *spec.key, *(["sequence"] if spec.key else [])]))
        if keys is not None:
            values = (
                keys.combine_chunks()
                if isinstance(keys, pa.ChunkedArray)
                else pa.array(list(keys), pa.string())
            )
            chosen = pc.field(spec.key[0]).isin(values)
            where = chosen if where is None else where & chosen
        dataset = self.store.dataset([entry["key"] for entry in entries], spec.schema)
        rows = dataset.to_table(columns=read, filter=where)
        if spec.key and len(entries) > 1:
            rows = latest_rows(rows, spec.key)
        return rows.select(names)


def latest_rows(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """Of rows with the same key, the one with the highest `sequence`; order is otherwise kept."""
    import polars as pl

    index = pl.from_arrow(rows.select([*key, "sequence"])).with_row_index("row")  # type: ignore[union-attr]
    chosen = index.sort("sequence", "row").unique(list(key), keep="last")["row"]
    if len(chosen) == rows.num_rows:
        return rows
    return rows.take(chosen.sort().to_arrow())
