"""Tables as text: CSV, or with tabs or semicolons, with a header, which may be the last of the comments above it."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from itertools import chain
from typing import Any

from corpus.errors import BadInputError
from corpus.rows.budget import Budget
from corpus.rows.json_rows import line_of
from corpus.rows.row import BadRow, Row


def table(
    stream: io.BufferedReader,
    file: str,
    budget: Budget,
    known: Collection[str],
    *,
    literal: bool = False,
) -> tuple[list[str], Iterator[Row | BadRow]]:
    """The header and the rows of a table.

    Lines that begin with `#` are comments. Where the first other line holds none of the `known` columns, the header is
    the last comment that does (MalwareBazaar). Both are empty for an empty file. Raises `BadInputError` for what
    cannot be read on: a quote that is never closed, a line beyond the budget. With `literal` there are no comments, only
    commas, and a blank after one belongs to its cell.
    """
    lines = _lines(stream, file, budget)
    comment, first = "", ""
    for line in lines:
        if line.startswith("#") and not literal:
            comment = line.lstrip("#") if _has_any(line.lstrip("#"), known) else comment
        elif line.strip():
            first = line
            break
    head = comment if comment and not _has_any(first, known) else first
    delimiter = "," if literal else _delimiter(head)
    header = [name.strip() for name in _cells(head, delimiter)]
    if head is not first and first:
        lines = chain([first], lines)
    reader = csv.reader(
        lines if literal else (line for line in lines if line[0] != "#"),
        delimiter=delimiter,
        skipinitialspace=not literal,
        strict=True,
    )
    return header, _rows(reader, header, file, budget)


def _rows(reader: Any, header: list[str], file: str, budget: Budget) -> Iterator[Row | BadRow]:
    number = 0
    while True:
        before = reader.line_num
        try:
            cells = next(reader, None)
        except csv.Error as error:
            number += 1
            if reader.line_num - before != 1 or "end of data" in str(error):
                raise BadInputError(
                    "is not CSV: a quote is not closed.", file=file, row=number
                ) from None
            yield BadRow(
                number, "is not CSV: a quote within a cell, or too long a cell.", "not_csv"
            )
            continue
        if cells is None:
            return
        if not cells:
            continue
        number += 1
        if number > budget.max_rows:
            budget.count_rows(number, file)
        if len(cells) != len(header):
            problem = f"has {len(cells)} cells; the header has {len(header)}."
            yield BadRow(number, problem, "not_csv")
        else:
            yield Row(number, dict(zip(header, cells, strict=True)))


def _lines(stream: io.BufferedReader, file: str, budget: Budget) -> Iterator[str]:
    """The lines of a file as text. Bytes that are not UTF-8 are surrogates: their row and field can be named."""
    number, raw = 1, line_of(stream, file, budget, 1).removeprefix(b"\xef\xbb\xbf")
    while raw:
        yield raw.decode("utf-8", "surrogateescape")
        number += 1
        raw = line_of(stream, file, budget, number)


def _has_any(line: str, known: Collection[str]) -> bool:
    return any(name.strip() in known for name in _cells(line, _delimiter(line)))


def _delimiter(header: str) -> str:
    return max(",\t;", key=header.count) if header else ","


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(
            csv.reader([line.strip("\r\n").lstrip()], delimiter=delimiter, skipinitialspace=True),
            [],
        )
    except csv.Error:
        return []
