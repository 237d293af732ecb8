"""What an update will publish, put together and fixed before anyone is told of it.

    staging/<update>/publish/<sha256>.parquet    the files that will join the tables
    staging/<update>/publish/<sha256>.json       the plan: which files, and what they amount to

The claim on a sequence number names the plan by its digest, so a publication that was killed goes
on with the very same files, even if a service has staged something else since.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict, dataclass, replace

import polars as pl
import pyarrow as pa
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from corpus.changes import content
from corpus.errors import DamagedError
from corpus.services.publish.head import head
from corpus.settings import Settings
from corpus.store.content_digest import ContentDigest
from corpus.store.manifest import Head, ListedFile
from corpus.store.object_store import Store, WrittenFile, to_json, to_parquet
from corpus.store.parts import PUBLISH
from corpus.store.records import read_record
from corpus.store.schemas import CANDIDATES, FEATURES_PREFIX
from corpus.store.staging import Update
from corpus.store.statistics import Statistics


class PlannedFile(ListedFile):
    """A file that will join a table: how many rows it has."""

    rows: int


class PlanRecord(TypedDict):
    """A plan as it is staged."""

    update: str
    head: Head
    stats: Statistics
    files: dict[str, list[PlannedFile]]


_RECORD = TypeAdapter(PlanRecord)


@dataclass(frozen=True)
class Plan:
    """The files an update adds to each table, the stats after it, and the head of its manifest."""

    update: str
    head: Head
    stats: Statistics
    files: dict[str, list[WrittenFile]]

    @classmethod
    def of(cls, update: Update, stats: Statistics, settings: Settings) -> Plan:
        """Put together what the update has staged. What counts does not depend on its shards."""
        files, feature_sets = {}, {}
        for table in update.tables():
            if table == CANDIDATES.name:
                continue
            vectors = table.startswith(FEATURES_PREFIX)
            written = _vector_files(update, table) if vectors else _table_file(update, table)
            if not written:
                continue
            files[table] = written
            if vectors:
                dim = update.spec(table).schema.field("vector").type.list_size
                feature_sets[table.removeprefix(FEATURES_PREFIX)] = dim
        record = head(update, settings, stats, feature_sets, staged_content(update))
        return cls(update.id, record, stats, files)

    def write(self, store: Store) -> str:
        """Stage the plan; return its digest."""
        record = to_json(asdict(self))
        digest = hashlib.sha256(record).hexdigest()
        store.write_bytes(_key(self.update, digest), record)
        return digest

    @classmethod
    def read(cls, store: Store, update_id: str, digest: str) -> Plan:
        """Read the plan of this digest. Raises `NotFoundError`, and `DamagedError` if it is not that plan."""
        key = _key(update_id, digest)
        if store.measure(key).sha256 != digest:
            raise DamagedError(f"{key} is not what it was when it was written.", key=key)
        record = read_record(store, key, _RECORD)
        files = {
            table: [WrittenFile(**file) for file in listed]
            for table, listed in record["files"].items()
        }
        return cls(record["update"], record["head"], record["stats"], files)

    @staticmethod
    def discard(store: Store, update_id: str) -> None:
        """Free the space of plans and their files: what was published has names of its own."""
        store.delete(f"staging/{update_id}/{PUBLISH}")


def staged_content(update: Update) -> ContentDigest:
    """The content digest of the snapshot that the update, as it is staged now, would become."""
    state = base64.b64decode(update.parent.manifest["content_state"])
    return content.updated_digest(update, state)


def _key(update_id: str, digest: str, suffix: str = "json") -> str:
    return f"staging/{update_id}/{PUBLISH}/{digest}.{suffix}"


def _table_file(update: Update, table: str) -> list[WrittenFile]:
    rows = update.read(table)
    if not rows.num_rows:
        return []
    # Rows without a key are sorted by all they say.
    names = update.spec(table).key or tuple(rows.column_names)
    return [_write(update, rows.sort_by([(name, "ascending") for name in names]))]


def _vector_files(update: Update, table: str) -> list[WrittenFile]:
    # Vectors may be more than fits in memory: parts are taken as they are, except
    # rows of a sample that an earlier part has too.
    schema = update.spec(table).schema
    seen = pl.Series("sha256", [], pl.String)
    files = []
    for key in update.parts(table):
        keys = update.store.dataset([key], schema).to_table(columns=["sha256"])["sha256"]
        names = pl.Series("sha256", keys, pl.String)
        fresh = names.is_first_distinct() & ~names.is_in(seen.implode())
        seen = pl.concat([seen, names])
        if fresh.all() and len(fresh):
            files.append(_copy(update, key, len(fresh)))
        elif fresh.any():
            rows = update.store.dataset([key], schema).to_table()
            files.append(_write(update, rows.filter(fresh.to_arrow())))
    return files


def _write(update: Update, rows: pa.Table) -> WrittenFile:
    data = to_parquet(rows)
    key = _key(update.id, hashlib.sha256(data).hexdigest(), "parquet")
    return replace(update.store.write_bytes(key, data), rows=rows.num_rows)


def _copy(update: Update, key: str, rows: int) -> WrittenFile:
    file = update.store.measure(key)
    target = _key(update.id, file.sha256, "parquet")
    update.store.copy(key, target)
    return replace(file, key=target, rows=rows)
