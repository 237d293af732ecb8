"""The rows of a snapshot, read from the data files that its manifest lists and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from corpus.store import index
from corpus.store.manifest import Contents, TableEntry, TableFile
from corpus.store.object_store import Store
from corpus.store.schemas import FEATURES_PREFIX, TABLES, TableSpec, features_spec

# Rows of a table for each value looked up, from which an index is asked.
_FEW = 8


class SnapshotRows:
    """What a published snapshot and the empty parent have in common: tables that are read by rows.

    `sequence` is the snapshot's number: 1 is the first, 0 the empty parent.
    """

    def __init__(self, store: Store, manifest: Contents, tables: dict[str, TableEntry]):
        self.store = store
        self.sequence: int = manifest["sequence"]
        self._feature_sets = manifest["feature_sets"]
        self._tables = tables

    @property
    def feature_sets(self) -> dict[str, int]:
        """Names of the feature sets that the snapshot has vectors of, and their dimensions."""
        return dict(self._feature_sets)

    @property
    def tables(self) -> list[str]:
        """Names of the tables that the snapshot has files of, or had rows of, sorted."""
        return sorted(self._tables)

    def table(self, name: str) -> TableEntry:
        """Return the manifest's entry of a table; one without files if the snapshot does not have it."""
        return self._tables.get(name) or {"version": None, "files": []}

    def spec(self, table: str) -> TableSpec:
        """The columns of a table. Vectors of a set that the snapshot does not have have 0 dimensions,
        since there are none. Raises `KeyError` for a table that does not exist.
        """
        if table.startswith(FEATURES_PREFIX):
            name = table.removeprefix(FEATURES_PREFIX)
            return features_spec(name, self._feature_sets.get(name, 0))
        return TABLES[table]

    def files(self, table: str) -> list[TableFile]:
        """The manifest's entries of a table's data files, the oldest first."""
        return self.table(table)["files"]

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
    ) -> tuple[list[TableFile], pa.Array, pa.Array]:
        """Files that may have any of the values, values that any file may have, and those that
        several files may have."""
        entries = self.files(table)
        if not len(values):
            return [], values, values
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
        entries: Sequence[TableFile],
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

    from corpus.store.arrow_frame import frame

    index = frame(rows.select([*key, "sequence"]))
    # Few keys have several rows, if any: only those are sorted.
    named = pl.struct(key) if len(key) > 1 else pl.col(key[0])
    mask = index.select(named.is_duplicated()).to_series()
    if not mask.any():
        return rows
    several = index.with_row_index("row").filter(mask).sort("sequence", "row")
    newest = several.unique(list(key), keep="last", maintain_order=True)["row"]
    return rows.filter((~mask).scatter(newest, True).to_arrow())
