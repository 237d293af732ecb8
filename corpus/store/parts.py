"""An update's staged parts: rows and reports that its services have prepared and nobody else can see.

    staging/<update id>/<table>/<part>.parquet    rows of one table, prepared by one task
    staging/<update id>/reports/<service>-<part>.json

A part is named after the work, never after the attempt, and is written whole: a service that runs
again replaces its own part, so a retried or doubly delivered task adds nothing twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter

from corpus.store.object_store import Store, WrittenFile
from corpus.store.records import read_record
from corpus.store.schemas import CANDIDATES, FEATURES_PREFIX, TABLES, TableSpec, features_spec

ALL = "all"
# Where `publish` keeps what it has put together; not a table.
PUBLISH = "publish"
ANY_REPORT = TypeAdapter(dict[str, Any])


class StagedParts:
    """The staged parts of update `id`, whose snapshot will have the number `sequence`."""

    def __init__(self, store: Store, update_id: str, sequence: int):
        self.store = store
        self.id = update_id
        self.sequence = sequence
        self.prefix = f"staging/{update_id}"

    def spec(self, table: str, dim: int | None = None) -> TableSpec:
        """The columns of a table; `dim` spares looking up the dimensions of a feature set.

        Raises `KeyError` for a table, and `NotFoundError` for a feature set, that does not exist.
        """
        if table == CANDIDATES.name:
            return CANDIDATES
        if table.startswith(FEATURES_PREFIX):
            if dim is None:
                from corpus import features

                dim = features.get(table.removeprefix(FEATURES_PREFIX)).dim
            return features_spec(table.removeprefix(FEATURES_PREFIX), dim)
        return TABLES[table]

    # Rows

    def write(
        self, table: str, rows: pa.Table | Iterable[Mapping[str, Any]], part: str = ALL
    ) -> WrittenFile:
        """Stage rows as one part; `update_id` and `sequence` are filled in here."""
        schema = self.spec(table).schema
        if not isinstance(rows, pa.Table):
            rows = pa.Table.from_pylist(list(rows), schema=schema)
        columns = {name: rows[name] for name in schema.names if name in rows.column_names}
        columns["update_id"] = pa.array([self.id] * rows.num_rows, pa.string())
        columns["sequence"] = pa.array([self.sequence] * rows.num_rows, pa.int32())
        complete = pa.table([columns[name] for name in schema.names], names=schema.names).cast(
            schema
        )
        return self.store.write_table(f"{self.prefix}/{table}/{part}.parquet", complete)

    def parts(self, table: str) -> list[str]:
        """Keys of the staged parts of a table, in the order of their names."""
        return [k for k in self.store.list(f"{self.prefix}/{table}") if k.endswith(".parquet")]

    def has(self, table: str, part: str = ALL) -> bool:
        """Return whether a part of a table is staged."""
        return self.store.exists(f"{self.prefix}/{table}/{part}.parquet")

    def read(
        self, table: str, columns: list[str] | None = None, part: str | None = None
    ) -> pa.Table:
        """Staged rows of a table; of rows with one key (a sample in two shards) the first part's."""
        spec = self.spec(table)
        keys = self.parts(table) if part is None else [f"{self.prefix}/{table}/{part}.parquet"]
        if not keys:
            rows = spec.schema.empty_table()
            return rows.select(columns) if columns else rows
        wanted = columns and list(dict.fromkeys([*columns, *spec.key]))
        rows = self.store.dataset(keys, spec.schema).to_table(columns=wanted)
        if spec.key and len(keys) > 1:
            from corpus.store.arrow_frame import frame

            index = frame(rows.select(list(spec.key))).with_row_index("row")
            first = index.unique(list(spec.key), keep="first", maintain_order=True)["row"]
            if len(first) < rows.num_rows:
                rows = rows.take(first.to_arrow())
        return rows.select(columns) if columns else rows

    def tables(self) -> list[str]:
        """Names of the tables with staged parts."""
        keys = (key.removeprefix(f"{self.prefix}/") for key in self.store.list(self.prefix))
        names = {key.split("/")[0] for key in keys if key.endswith(".parquet")}
        return sorted(names - {PUBLISH})

    def feature_sets(self) -> list[str]:
        """Names of the feature sets that vectors are staged of, sorted."""
        tables = (table for table in self.tables() if table.startswith(FEATURES_PREFIX))
        return sorted(table.removeprefix(FEATURES_PREFIX) for table in tables)

    def staged_digest(self) -> str:
        """sha256 over all that is staged but reports: what `validate` judged is what is published."""
        names = ("reports/", f"{PUBLISH}/", "update.json", "end.json", "typed.json")
        own = tuple(f"{self.prefix}/{name}" for name in names)
        keys = [key for key in self.store.list(self.prefix) if not key.startswith(own)]
        lines = (
            f"{key.removeprefix(self.prefix)} {self.store.measure(key).sha256}\n" for key in keys
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    # Shards

    def shards(self) -> list[str]:
        """Names of the update's shards, as `collect` staged them."""
        return [k.rsplit("/", 1)[-1].removesuffix(".parquet") for k in self.parts(CANDIDATES.name)]

    def samples_of(self, shard: str) -> pa.Table:
        """New samples that a shard owns: one that turns up in several shards belongs to the first."""
        own = self.read("samples", part=shard)
        earlier = [k for k in self.parts("samples") if k.rsplit("/", 1)[-1] < f"{shard}.parquet"]
        if not earlier or not own.num_rows:
            return own
        seen = self.store.dataset(earlier, TABLES["samples"].schema).to_table(
            columns=["sha256"], filter=pc.field("sha256").isin(own["sha256"])
        )
        return own.filter(
            pc.invert(pc.is_in(own["sha256"], value_set=seen["sha256"].combine_chunks()))
        )

    # Reports

    def write_report(self, service: str, report: Mapping[str, Any], part: str = ALL) -> None:
        """Keep the report of a service, as JSON values; one a part."""
        self.store.write_json(f"{self.prefix}/reports/{service}-{part}.json", report)

    def reports(self, service: str, kind: TypeAdapter[Any] = ANY_REPORT) -> list[Any]:
        """Read the reports of a service, in the order of their parts' names.

        `kind` has the fields that the caller needs. Raises `DamagedError` as `checked` does.
        """
        keys = self.store.list(f"{self.prefix}/reports")
        own = [key for key in keys if key.rsplit("/", 1)[-1].startswith(service + "-")]
        return [read_record(self.store, key, kind) for key in own]
