"""What a sample amounts to in a snapshot: one row of label, group, split and vector digests.

The content digest, diffs and checks rest on these rows. Vectors themselves are never read here,
only their digests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import polars as pl

from corpus.store.content_digest import ContentDigest, Row
from corpus.store.frames import published, staged
from corpus.store.schemas import FEATURES_PREFIX
from corpus.store.snapshot_rows import SnapshotRows
from corpus.store.staging import Update

_COLUMNS = {
    "samples": ["sha256", "file_type"],
    "labels": ["sha256", "label", "family"],
    "groups": ["sha256", "group_id"],
    "splits": ["sha256", "split"],
}
_VECTORS = ["sha256", "vector_sha256"]
_Read = Callable[[str, list[str]], pl.DataFrame]


def of_snapshot(snapshot: SnapshotRows, feature_sets: Iterable[str] | None = None) -> pl.DataFrame:
    """One row a sample, in the order of their sha256: file_type, label, family, group_id, split, and
    a column `features-NAME` with the vector_sha256 of each feature set; null if there is none, as
    in all rows of a set that the snapshot does not have.
    """
    sets = snapshot.feature_sets if feature_sets is None else feature_sets
    return _joined(lambda table, columns: published(snapshot, table, columns), sets)


def digest_of(rows: pl.DataFrame) -> ContentDigest:
    """The content digest of rows as `of_snapshot` gives them."""
    digest = ContentDigest()
    digest.add(_digest_rows(rows))
    return digest


def updated_digest(update: Update, state: bytes) -> ContentDigest:
    """The digest after an update, from the state (2,048 bytes) of its parent's.

    Only what the update touches is looked at.
    """
    digest = ContentDigest(state)
    touched = _touched(update)
    sets = sorted({*update.parent.feature_sets, *update.feature_sets()})
    new: dict[str, pl.DataFrame] = {}
    before: dict[str, pl.DataFrame] = {}
    for table, columns in _tables(sets).items():
        new[table] = staged(update, table, columns)
        # The parent need not be asked for what a new sample brings along.
        known = before.get("samples", touched)
        brought = new[table].join(known, on="sha256", how="anti")
        asked = touched.join(brought, on="sha256", how="anti") if before else touched
        before[table] = published(update.parent, table, columns, asked["sha256"])

    def after(table: str, columns: list[str]) -> pl.DataFrame:
        kept = before[table].join(new[table], on="sha256", how="anti")
        return pl.concat([new[table].select(columns), kept])

    digest.remove(_digest_rows(_joined(lambda table, _: before[table], sets)))
    digest.add(_digest_rows(_joined(after, sets)))
    return digest


def _tables(feature_sets: Iterable[str]) -> dict[str, list[str]]:
    return {**_COLUMNS, **{FEATURES_PREFIX + name: _VECTORS for name in sorted(feature_sets)}}


def _touched(update: Update) -> pl.DataFrame:
    tables = [table for table in update.tables() if table in _tables(update.feature_sets())]
    keys = [staged(update, table, ["sha256"]) for table in tables]
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
