"""Published snapshots, as services and readers see them: manifests and the files they list.

    snapshots/log/<sequence>.json    who may publish number <sequence>: created once
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

from corpus.errors import NotFoundError
from corpus.store import format as formats
from corpus.store import index
from corpus.store.object_store import Store
from corpus.store.schemas import FEATURES_PREFIX, TABLES, TableSpec, features_spec

LATEST = "snapshots/latest.json"
# Rows of a table for each value looked up, from which an index is asked.
_FEW = 8


class Snapshot:
    """One published snapshot: `id`, `sequence` (1 is the first) and its `manifest`."""

    def __init__(self, store: Store, manifest: dict[str, Any]):
        self.store = store
        self.manifest = manifest
        self.id: str = manifest["id"]
        self.sequence: int = manifest["sequence"]

    @classmethod
    def open(cls, store: Store, snapshot_id: str = "latest") -> Snapshot:
        """Open a snapshot by its id, or the newest. Raises `NotFoundError`, and `BadInputError` for another format."""
        if snapshot_id == "latest":
            latest = cls.latest(store)
            if latest is None:
                raise NotFoundError(
                    f"{store.url} has no snapshot yet.", hint="Run an update first: `make run`."
                )
            return latest
        formats.check(store)
        key = f"snapshots/{snapshot_id}/manifest.json"
        if "/" in snapshot_id or not store.exists(key):
            raise NotFoundError(
                f"{store.url} has no snapshot {snapshot_id!r}.",
                hint="`corpus snapshots list` shows those it has.",
                snapshot=snapshot_id,
            )
        manifest = store.read_json(key)
        formats.require(manifest.get("format"), f"{store.url}/{key}")
        return cls(store, manifest)

    @classmethod
    def latest(cls, store: Store) -> Snapshot | None:
        formats.check(store)
        if not store.exists(LATEST):
            return None
        return cls.open(store, store.read_json(LATEST)["id"])

    @classmethod
    def every(cls, store: Store) -> list[Snapshot]:
        """All published snapshots, the oldest first."""
        formats.check(store)
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
        if keys is not None:
            key = spec.key[0]
            entries, values, _ = self._narrowed(table, key, _values(keys))
            chosen = pc.field(key).isin(values)
            where = chosen if where is None else where & chosen
        if not entries:
            return pa.schema([spec.schema.field(n) for n in names]).empty_table()
        read = list(dict.fromkeys([*names, *spec.key, *(["sequence"] if spec.key else [])]))
        rows = self._read(spec, entries, read, where)
        if spec.key and len(entries) > 1:
            rows = latest_rows(rows, spec.key)
        return rows.select(names)

    def scan_with(
        self,
        table: str,
        columns: Sequence[str],
        column: str,
        values: Iterable[str] | pa.Array | pa.ChunkedArray,
    ) -> pa.Table:
        """Rows that have one of these values in a column, as they stand in this snapshot."""
        spec = self.spec(table)
        if column in spec.key[:1]:
            return self.scan(table, columns, keys=values)
        entries, wanted, _ = self._narrowed(table, column, _values(values))
        names = list(dict.fromkeys([*columns, column, *spec.key]))
        if not entries:
            return pa.schema([spec.schema.field(n) for n in columns]).empty_table()
        # Who ever had it is asked first, and then what became of them: taking the latest row of every
        # key of the table would cost what the corpus is large.
        rows = self._read(spec, entries, names, pc.field(column).isin(wanted))
        if spec.key:
            keys = rows[spec.key[0]]
            _, _, several = self._narrowed(table, spec.key[0], _values(keys))
            again = pc.is_in(keys, value_set=several)
            now = self.scan(table, names, keys=several)
            now = now.filter(pc.is_in(now[column], value_set=wanted))
            rows = pa.concat_tables([rows.filter(pc.invert(again)), now])
        return rows.select(list(columns))

    def every_row(self, table: str, columns: Sequence[str]) -> pa.Table:
        """All rows of a table, oldest snapshot first: also those that later ones have replaced."""
        spec = self.spec(table)
        entries = self.files(table)
        if not entries:
            return pa.schema([spec.schema.field(n) for n in columns]).empty_table()
        return self._read(spec, entries, list(columns), None)

    def _narrowed(
        self, table: str, column: str, values: pa.Array
    ) -> tuple[list[dict[str, Any]], pa.Array, pa.Array]:
        """Files that may have any of the values, values that any file may have, and those that
        several files may have."""
        entries = self.files(table)
        found = None
        # With values for much of the table, an index would only tell that all of it is needed.
        if len(values) * _FEW < sum(entry["rows"] for entry in entries):
            found = index.look_up(self.store, self.spec(table), entries, column, values)
        if found is None:
            return entries, values, values if len(entries) > 1 else values.slice(0, 0)
        times = found.sum(axis=0)
        return (
            [entry for entry, row in zip(entries, found, strict=True) if row.any()],
            values.filter(pa.array(times > 0)),
            values.filter(pa.array(times > 1)),
        )

    def _read(
        self,
        spec: TableSpec,
        entries: Sequence[dict[str, Any]],
        columns: list[str],
        where: pc.Expression | None,
    ) -> pa.Table:
        dataset = self.store.dataset([entry["key"] for entry in entries], spec.schema)
        return dataset.to_table(columns=columns, filter=where)


def _values(values: Iterable[str] | pa.Array | pa.ChunkedArray) -> pa.Array:
    if not isinstance(values, pa.Array | pa.ChunkedArray):
        return pa.array(dict.fromkeys(values), pa.string())
    return pc.unique(values.cast(pa.string()))


def latest_rows(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """Of rows with the same key, the one with the highest `sequence`; order is otherwise kept."""
    import polars as pl

    index = pl.from_arrow(rows.select([*key, "sequence"]))
    assert isinstance(index, pl.DataFrame)
    # Few keys have several rows, if any: only those are sorted.
    named = pl.struct(key) if len(key) > 1 else pl.col(key[0])
    mask = index.select(named.is_duplicated()).to_series()
    if not mask.any():
        return rows
    several = index.with_row_index("row").filter(mask).sort("sequence", "row")
    newest = several.unique(list(key), keep="last", maintain_order=True)["row"]
    return rows.filter((~mask).scatter(newest, True).to_arrow())
