"""The columns of a Parquet file as JSON and numpy can hold them: what runs in the child."""

from __future__ import annotations

from typing import Any

# What the tables that a sandbox stages have, apart from vectors. Other types are not even decoded.
_TYPES = {
    *("string", "large_string", "int32", "int64", "double", "timestamp[us, tz=UTC]"),
    "list<item: string>",
}


def of(data: bytes) -> dict[str, Any]:
    """Decode a Parquet file; return name, type and values of each column, and the number of `rows`.

    Times are microseconds since 1970, vectors as an array of float32 [rows, width].
    """
    # Not at the top: it starts a thread, and a process with one cannot be forked.
    import pyarrow as pa
    import pyarrow.parquet as pq

    def is_vector(kind: pa.DataType) -> bool:
        return bool(pa.types.is_fixed_size_list(kind) and kind.value_type == pa.float32())

    def name_of(kind: pa.DataType) -> str:
        # Parquet has its own name for what a list holds, and types are equal whatever that is.
        return str(kind).replace("<element: ", "<item: ")

    def values(column: pa.Array) -> Any:
        if is_vector(column.type):
            if column.null_count or column.values.null_count:
                raise ValueError("there are vectors with missing values")
            return column.flatten().to_numpy().reshape(-1, column.type.list_size)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        return column.to_pylist()

    file = pq.ParquetFile(pa.BufferReader(data))
    for field in file.schema_arrow:
        if name_of(field.type) not in _TYPES and not is_vector(field.type):
            raise ValueError(f"column {field.name!r} is {field.type}")
    rows = file.read(use_threads=False)
    return {
        "rows": rows.num_rows,
        "columns": [
            [field.name, name_of(field.type), values(column.combine_chunks())]
            for field, column in zip(rows.schema, rows.columns, strict=True)
        ],
    }
