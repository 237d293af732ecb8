"""Reads staged rows, and rows of a snapshot, as polars frames: the one place that does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from corpus.store.arrow_frame import frame
from corpus.store.schemas import FEATURES_PREFIX, features_spec

if TYPE_CHECKING:
    from corpus.store.parts import StagedParts
    from corpus.store.snapshot_rows import SnapshotRows


def staged(update: StagedParts, table: str, columns: Sequence[str]) -> pl.DataFrame:
    """Staged rows of a table; of rows with one key the first part's."""
    if table.startswith(FEATURES_PREFIX) and not update.parts(table):
        # Nobody may know a set any more that only the parent has vectors of.
        empty = features_spec(table.removeprefix(FEATURES_PREFIX), 0).schema.empty_table()
        return frame(empty.select(list(columns)))
    return frame(update.read(table, list(columns)))


def staged_in_every_part(update: StagedParts, table: str, columns: Sequence[str]) -> pl.DataFrame:
    """Staged rows of a table, also those with the key of a row of an earlier part."""
    spec, parts = update.spec(table), update.parts(table)
    if not parts:
        return frame(spec.schema.empty_table().select(list(columns)))
    return frame(update.store.dataset(parts, spec.schema).to_table(columns=list(columns)))


def published(
    snapshot: SnapshotRows, table: str, columns: Sequence[str], keys: pl.Series | None = None
) -> pl.DataFrame:
    """Rows of a table as they stand in a snapshot, or in the empty parent.

    `keys` (strings) restricts to these values of the table's first key column.
    """
    values = None if keys is None else keys.to_list()
    return frame(snapshot.scan(table, list(columns), keys=values))


def published_with(
    snapshot: SnapshotRows, table: str, columns: Sequence[str], column: str, values: pl.Series
) -> pl.DataFrame:
    """Rows that have one of these values (strings) in a column, as they stand in a snapshot."""
    wanted = values.to_arrow().cast(pa.string())
    return frame(snapshot.scan_with(table, list(columns), column, wanted))
