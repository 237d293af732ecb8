"""Rows of a Parquet file, a few thousand at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as types

from corpus.errors import BadInputError
from corpus.rows.budget import Budget
from corpus.rows.parquet_cells import rows_of
from corpus.rows.row import Row

_BATCH = 4_096


def columns_of(stream: IO[bytes], file: str) -> list[str]:
    """The names of the columns. Raises `BadInputError` if the file is broken."""
    try:
        return list(pq.ParquetFile(stream).schema_arrow.names)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _broken(file) from error


def rows(stream: IO[bytes], file: str, budget: Budget, columns: Collection[str]) -> Iterator[Row]:
    """The rows, with these columns alone. Raises `BadInputError` if the file is broken, or beyond the budget."""
    try:
        parquet = pq.ParquetFile(stream)
        _check(parquet.metadata, file, budget)
        schema = parquet.schema_arrow
        texts = [
            name
            for name in columns
            if types.is_string(kind := schema.field(name).type) or types.is_binary(kind)
        ]
        parquet = pq.ParquetFile(stream, read_dictionary=texts)
        number = 0
        for batch in parquet.iter_batches(_BATCH, columns=list(columns)):
            for cells in rows_of(batch):
                number += 1
                yield Row(number, cells)
    except (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError) as error:
        raise _broken(file) from error


def _check(metadata: pq.FileMetaData, file: str, budget: Budget) -> None:
    budget.count_rows(metadata.num_rows, file)
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        columns = [group.column(index) for index in range(group.num_columns)]
        size = sum(column.total_uncompressed_size for column in columns)
        packed = sum(column.total_compressed_size for column in columns)
        if size > min(budget.allowed_bytes(packed), budget.max_bytes):
            raise BadInputError("unpacks to more than a file of rows may have.", file=file)


def _broken(file: str) -> BadInputError:
    return BadInputError("is not a whole Parquet file.", file=file)
