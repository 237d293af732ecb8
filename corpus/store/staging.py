"""An update's staging area: what its services have prepared and nobody else can see.

    staging/<update id>/update.json               identity, and the snapshot the update builds on
    staging/<update id>/<table>/<part>.parquet    rows of one table, prepared by one task
    staging/<update id>/reports/<service>-<part>.json
    staging/<update id>/end.json                  how it ends: published or abandoned

A part is named after the work, never after the attempt, and is written whole: a service that runs
again replaces its own part, so a retried or doubly delivered task adds nothing twice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from corpus.errors import BadInputError, ConflictError, NotFoundError, PassingFaultError
from corpus.store import format as formats
from corpus.store.object_store import Store, WrittenFile, to_json
from corpus.store.schemas import CANDIDATES, FEATURES_PREFIX, TABLES, TableSpec, features_spec
from corpus.store.snapshots import Snapshot

ALL = "all"
# Where `publish` keeps what it has put together; not a table.
PUBLISH = "publish"
# Kept up to date by whoever removes blobs, and ignored when it is older than that: its writer is dead.
CLEANING = "staging/clean.json"
CLEANING_LASTS = timedelta(minutes=10)
End = Literal["publish", "abandon"]
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def new_update_id(now: datetime | None = None) -> str:
    """A fresh id that sorts by time, for an update begun by hand."""
    return (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"


class Update:
    """One update: `id`, the `base` snapshot it builds on (None for the first), and its staged parts.

    In a slice (see corpus.isolation) there is no base, the record says which `sequence` it stands for, and
    `store` is a fleeting one.
    """

    def __init__(self, store: Store, record: Mapping[str, Any], base: Snapshot | None):
        self.record = dict(record)
        self.id: str = record["id"]
        self.base = base
        self.in_slice = "slice" in self.record
        self.store = store.fleeting() if self.in_slice else store
        following = base.sequence + 1 if base else 1
        self.sequence: int = self.record["slice"]["sequence"] if self.in_slice else following
        self.prefix = f"staging/{self.id}"

    @classmethod
    def open(cls, store: Store, update_id: str, run: Mapping[str, Any] | None = None) -> Update:
        """Begin an update, or go on with one. `run` is kept as the identity of who began it."""
        if not _ID.fullmatch(update_id):
            raise BadInputError(
                f"{update_id!r} is not an update id: letters, digits, '.', '_' and '-' only.",
                field="update",
            )
        formats.begin(store)
        key = record_key(update_id)
        if not store.exists(key):
            latest = Snapshot.latest(store)
            record = {
                "id": update_id,
                "base": latest.id if latest else None,
                "began_at": datetime.now(UTC).isoformat(),
                "run": dict(run or {}),
            }
            store.create_bytes(key, to_json(record))
        if end_of(store, update_id) == "abandon":
            raise abandoned(update_id)
        # Asked only now that the update is there to be seen: one of the two waits for the other.
        if being_cleaned(store):
            raise PassingFaultError(
                f"`corpus clean --blobs` is at work in {store.url}.",
                hint="No update goes on while blobs are removed. Retry in a minute.",
            )
        record = store.read_json(key)
        base = Snapshot.open(store, record["base"]) if record["base"] else None
        return cls(store, record, base)

    def refuse_if_stale(self) -> None:
        """Raise `ConflictError` where another update has published since this one began."""
        latest = Snapshot.latest(self.store)
        if latest and latest.id == self.id:
            return
        if (latest.id if latest else None) != (self.base.id if self.base else None):
            raise ConflictError(
                f"update {self.id} was built on {self.base.id if self.base else 'an empty corpus'}, "
                f"but {latest.id if latest else 'nothing'} is the latest snapshot now.",
                hint="Nothing was published. Start a new update; it finds what is still new.",
                update=self.id,
            )

    # Parts

    def spec(self, table: str, dim: int | None = None) -> TableSpec:
        if table == CANDIDATES.name:
            return CANDIDATES
        if table.startswith(FEATURES_PREFIX):
            if dim is None:
                from corpus import features

                dim = features.get(table.removeprefix(FEATURES_PREFIX)).dim
            return features_spec(table.removeprefix(FEATURES_PREFIX), dim)
        return TABLES[table]

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
            import polars as pl

            index = pl.from_arrow(rows.select(list(spec.key))).with_row_index("row")  # type: ignore[union-attr]
            first = index.unique(list(spec.key), keep="first", maintain_order=True)["row"]
            if len(first) < rows.num_rows:
                rows = rows.take(first.to_arrow())
        return rows.select(columns) if columns else rows

    # Reports

    def write_report(self, service: str, report: Mapping[str, Any], part: str = ALL) -> None:
        self.store.write_json(f"{self.prefix}/reports/{service}-{part}.json", report)

    def reports(self, service: str) -> list[dict[str, Any]]:
        keys = self.store.list(f"{self.prefix}/reports")
        return [
            self.store.read_json(k) for k in keys if k.rsplit("/", 1)[-1].startswith(service + "-")
        ]

    def tables(self) -> list[str]:
        """Names of the tables with staged parts."""
        keys = (key.removeprefix(f"{self.prefix}/") for key in self.store.list(self.prefix))
        names = {key.split("/")[0] for key in keys if key.endswith(".parquet")}
        return sorted(names - {PUBLISH})

    def staged_digest(self) -> str:
        """sha256 over all that is staged but reports: what `validate` judged is what is published."""
        names = ("reports/", f"{PUBLISH}/", "update.json", "end.json")
        own = tuple(f"{self.prefix}/{name}" for name in names)
        keys = [key for key in self.store.list(self.prefix) if not key.startswith(own)]
        lines = (
            f"{key.removeprefix(self.prefix)} {self.store.measure(key).sha256}\n" for key in keys
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()

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


def existing(store: Store, update_id: str) -> Update:
    """An update that was begun before; `NotFoundError` otherwise."""
    formats.check(store)
    if not store.exists(record_key(update_id)):
        raise NotFoundError(
            f"there is no update {update_id!r} in {store.url}.",
            hint="`collect` begins one; without an update id, a service begins its own.",
            update=update_id,
        )
    return Update.open(store, update_id)


def end_of(store: Store, update_id: str) -> End | None:
    """How an update ends, as far as that is settled."""
    try:
        end: End = store.read_json(_end_key(update_id))["end"]
    except NotFoundError:
        return None
    return end


def settle(store: Store, update_id: str, end: End) -> End | None:
    """Settle how an update ends, unless it is settled already; gives how it does end.

    Of a publication and an abandonment at the same moment exactly one takes place. None where the
    staging area was removed meanwhile.
    """
    at = datetime.now(UTC).isoformat(timespec="seconds")
    store.create_bytes(_end_key(update_id), to_json({"end": end, "at": at}))
    # `clean` removes update.json first and end.json last: an end settled after it counts for nothing.
    settled = end_of(store, update_id)
    return settled if store.exists(record_key(update_id)) else None


def abandoned(update_id: str) -> ConflictError:
    return ConflictError(
        f"update {update_id} was abandoned.",
        hint="Start a new update; it finds what is still new.",
        update=update_id,
    )


def being_cleaned(store: Store) -> bool:
    """Whether a process that removes blobs is at work."""
    try:
        at = datetime.fromisoformat(store.read_json(CLEANING)["at"])
    except NotFoundError:
        return False
    return datetime.now(UTC) - at < CLEANING_LASTS


def record_key(update_id: str) -> str:
    """Where an update's identity is kept, from its beginning until its staging area is removed."""
    return f"staging/{update_id}/update.json"


def _end_key(update_id: str) -> str:
    return f"staging/{update_id}/end.json"
