"""The columns of a Parquet file as arrays, which is how they leave the child that decodes the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

# They start a thread, and a process with one cannot be forked.
LOADED_IN_CHILD = ("pyarrow.compute", "pyarrow.parquet")

# What the tables that a sandbox stages have, apart from vectors. Other types are not even decoded.
_TYPES = {
    *("string", "large_string", "int32", "int64", "double", "timestamp[us, tz=UTC]"),
    "list<item: string>",
}


def of(data: bytes) -> dict[str, Any]:
    """Decode a Parquet file; return name, type and `packed` values of each column, and the number of `rows`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data))
    for field in file.schema_arrow:
        if _name_of(field.type) not in _TYPES and not _is_vector(field.type):
            raise ValueError(f"column {field.name!r} is {field.type}")
    rows = file.read(use_threads=False)
    return {
        "rows": rows.num_rows,
        "columns": [
            [field.name, _name_of(field.type), _packed(column.combine_chunks())]
            for field, column in zip(rows.schema, rows.columns, strict=True)
        ],
    }


def unpacked(column: Any) -> Any:
    """The values of a column that `of` has packed: a list, or an array of float32 [rows, width] for vectors.

    Times are microseconds since 1970. Raises `ValueError` for what `of` never gives.
    """
    try:
        return column if isinstance(column, np.ndarray) and column.ndim == 2 else _listed(column)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError("a column is not what it should be") from error


def _is_vector(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_fixed_size_list(kind) and kind.value_type == pa.float32())


def _name_of(kind: Any) -> str:
    # Parquet has its own name for what a list holds, and types are equal whatever that is.
    return str(kind).replace("<element: ", "<item: ")


def _packed(column: Any) -> Any:
    """Arrays and bytes instead of lists: `valid`, and `numbers`, `sizes` and `text`, or `sizes` and `items`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if _is_vector(column.type):
        if column.null_count or column.values.null_count:
            raise ValueError("there are vectors with missing values")
        return _numbers(column.flatten()).reshape(-1, column.type.list_size)
    packed = {"valid": _numbers(column.is_valid().cast(pa.uint8()))}
    if pa.types.is_list(column.type):
        sizes = pc.fill_null(pc.list_value_length(column), 0)
        return {**packed, "sizes": _numbers(sizes), "items": _packed(column.flatten())}
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        texts = column.cast(pa.large_binary())
        sizes = pc.fill_null(pc.binary_length(texts), 0)
        return {
            **packed,
            "sizes": _numbers(sizes),
            "text": b"".join(texts.drop_null().to_pylist()),
        }
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return {**packed, "numbers": _numbers(pc.fill_null(column, 0))}


def _numbers(column: Any) -> np.ndarray:
    # Arrow's own `to_numpy` would look for pandas, and no child can import anything any more.
    numbers: np.ndarray = np.from_dlpack(column)
    return numbers


def _listed(column: Mapping[str, Any]) -> list[Any]:
    valid = column["valid"].tolist()
    if "numbers" in column:
        numbers = column["numbers"].tolist()
        return [number if there else None for number, there in zip(numbers, valid, strict=True)]
    sizes = column["sizes"].tolist()
    whole: Any = column["text"] if "text" in column else _listed(column["items"])
    if len(sizes) != len(valid) or min(sizes, default=0) < 0 or sum(sizes) != len(whole):
        raise ValueError("sizes of a column's values do not add up")
    values = []
    start = 0
    for size, there in zip(sizes, valid, strict=True):
        part = whole[start : start + size]
        if isinstance(part, bytes):
            part = part.decode()
        values.append(part if there else None)
        start += size
    return values
