"""Cells of Parquet columns as Python values, whatever a writer put into them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.types as types

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}
# What is no date of ours in any reading: a time beyond Python's years.
_BEYOND = -(10**18)


def rows_of(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of a batch, by column name.

    Times have microseconds (nanoseconds are cut off), and one beyond the years 1 to 9999 is a number that no reader
    of dates takes. Text that is not UTF-8 has surrogates, so that its row and field can be named.
    """
    columns = [_values(column) for column in batch.columns]
    names = batch.schema.names
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _values(column: pa.Array) -> list[Any]:
    kind = column.type
    if types.is_dictionary(kind):
        # One Python value for all rows that have it: decoded, few bytes of a file can be gigabytes.
        values = _values(column.dictionary)
        return [None if index is None else values[index] for index in column.indices.to_pylist()]
    if types.is_timestamp(kind):
        return [_time(value, kind.unit) for value in column.cast(pa.int64()).to_pylist()]
    if types.is_date(kind):
        seconds = column.cast(pa.timestamp("s" if types.is_date32(kind) else "ms"))
        return _values(seconds)
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        if not (types.is_string(kind) or types.is_large_string(kind)):
            # A list of texts: the whole cell is of no use.
            return [_decoded(cell) for cell in column]
        raw = column.cast(pa.large_binary() if types.is_large_string(kind) else pa.binary())
        return [
            None if value is None else value.decode("utf-8", "surrogateescape")
            for value in raw.to_pylist()
        ]


def _time(value: int | None, unit: str) -> datetime | int | None:
    if value is None:
        return None
    microseconds = value // 1_000 if unit == "ns" else value * _UNITS[unit]
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return _BEYOND


def _decoded(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return ["\udc80"]
