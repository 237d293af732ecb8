"""What a sample amounts to in a snapshot: one row of label, group, split and vector digests.

The content digest, diffs and checks rest on these rows. Vectors themselves are never read here,
only their digests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import polars as pl
import pyarrow as pa

from corpus.store.content_digest import ContentDigest, Row
from corpus.store.schemas import FEATURES_PREFIX
from corpus.store.snapshots import Snapshot
from corpus.store.staging import Update

_COLUMNS = {
    "samples": ["sha256", "file_type"],
    "labels": ["sha256", "label", "family"],
    "groups": ["sha256", "group_id"],
    "splits": ["sha256", "split"],
}
_VECTORS = ["sha256", "vector_sha256"]
_Read = Callable[[str, list[str]], pl.DataFrame]


def of_snapshot(snapshot: Snapshot, feature_sets: Iterable[str] | None = None) -> pl.DataFrame:
    """One row a sample, in the order of their sha256: file_type, label, family, group_id, split, and
    a column `features-NAME` with the vector_sha256 of each feature set; null where there is none, as
    in all rows of a set that the snapshot does not have.
    """
    sets = snapshot.feature_sets if feature_sets is None else feature_sets

    def read(table: str, columns: list[str]) -> pl.DataFrame:
        name = table.removeprefix(FEATURES_PREFIX)
        if name != table and name not in snapshot.feature_sets:
            return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
        return _frame(snapshot.scan(table, columns))

    return _joined(read, sets)


def digest_of(rows: pl.DataFrame) -> ContentDigest:
    """The content digest of rows as `of_snapshot` gives them."""
    digest = ContentDigest()
    digest.add(_digest_rows(rows))
    return digest


def updated_digest(update: Update, state: bytes | None) -> ContentDigest:
    """The digest after an update, from the state of its base: only what it touches is looked at."""
    digest = ContentDigest(state)
    touched = _touched(update)
    base = update.base
    sets = sorted({*(base.feature_sets if base else ()), *_staged_sets(update)})
    staged: dict[str, pl.DataFrame] = {}
    before: dict[str, pl.DataFrame] = {}
    for table, columns in _tables(sets).items():
        empty = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
        staged[table] = _frame(update.read(table, columns)) if update.parts(table) else empty
        # The base need not be asked for what a new sample brings along.
        known = before.get("samples", touched)
        brought = staged[table].join(known, on="sha256", how="anti")
        asked = touched.join(brought, on="sha256", how="anti") if before else touched
        before[table] = empty
        if base and base.files(table) and asked.height:
            before[table] = _frame(base.scan(table, columns, keys=asked["sha256"].to_list()))

    def after(table: str, columns: list[str]) -> pl.DataFrame:
        kept = before[table].join(staged[table], on="sha256", how="anti")
        return pl.concat([staged[table].select(columns), kept])

    digest.remove(_digest_rows(_joined(lambda table, _: before[table], sets)))
    digest.add(_digest_rows(_joined(after, sets)))
    return digest


def _tables(feature_sets: Iterable[str]) -> dict[str, list[str]]:
    return {**_COLUMNS, **{FEATURES_PREFIX + name: _VECTORS for name in sorted(feature_sets)}}


def _staged_sets(update: Update) -> list[str]:
    names = [table for table in update.tables() if table.startswith(FEATURES_PREFIX)]
    return [name.removeprefix(FEATURES_PREFIX) for name in names]


def _touched(update: Update) -> pl.DataFrame:
    tables = [table for table in update.tables() if table in _tables(_staged_sets(update))]
    keys = [_frame(update.read(table, ["sha256"])) for table in tables]
    return pl.concat([pl.DataFrame(schema={"sha256": pl.String}), *keys]).unique()


def _joined(read: _Read, feature_sets: Iterable[str]) -> pl.DataFrame:
    rows: pl.DataFrame | None = None
    for table, columns in _tables(feature_sets).items():
        found = read(table, columns)
        if table.startswith(FEATURES_PREFIX):
            found = found.rename({"vector_sha256": table})
        rows = found if rows is None else rows.join(found, on="sha256", how="left")
    assert rows is not None
    return rows.sort("sha256")


def _digest_rows(rows: pl.DataFrame) -> Iterator[Row]:
    tables = [name for name in rows.columns if name.startswith(FEATURES_PREFIX)]
    sets = [name.removeprefix(FEATURES_PREFIX) for name in tables]
    chosen = rows.select("sha256", "label", "family", "group_id", "split", *tables)
    for sha256, label, family, group_id, split, *digests in chosen.iter_rows():
        pairs = [pair for pair in zip(sets, digests, strict=True) if pair[1] is not None]
        yield Row(sha256, label, family, group_id, split, pairs)


def _frame(rows: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame
