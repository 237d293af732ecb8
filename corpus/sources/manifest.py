"""Reads a manifest: which file is where, and what is known of it.

A CSV (comma, header, UTF-8), JSON Lines or Parquet file with the columns

    sha256       of the executable, in hex; empty where it is not known
    location     path or URL, relative to the manifest's own folder; taken literally
    first_seen   a date, as `corpus.rows.dates` reads it; optional
    source       where the file comes from, in words; optional, the manifest's URL otherwise
    tags         a list, or text separated by `;`, `,` or `|`; optional

Other columns are ignored. What is wrong is told with file, row (1 is the first row after the header, or the line of a
JSON Lines file) and field.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from corpus.errors import BadInputError
from corpus.rows import csv_rows, json_rows
from corpus.rows.bad_value import BadValueError
from corpus.rows.budget import Budget, unpacked
from corpus.rows.dates import Dates
from corpus.rows.row import BadRow, Row
from corpus.settings.feeds import OnBadRow
from corpus.sources.files import Files, reason_of
from corpus.sources.location import encode

COLUMNS = ("sha256", "location", "first_seen", "source", "tags")
_REQUIRED = ("sha256", "location")
_BUDGET = Budget()
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_URL = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class ManifestRow:
    """One row; `location` is absolute and encoded, `first_seen` in UTC."""

    row: int
    location: str
    sha256: str | None
    first_seen: datetime | None
    source: str | None
    tags: tuple[str, ...]


def read_manifest(
    url: str, files: Files, dates: Dates | None = None, on_bad_row: OnBadRow = "refuse"
) -> Iterator[ManifestRow | BadRow]:
    """Rows of the manifest at `url`, read as a stream; with "reject" a wrong row is a `BadRow`.

    Each row names an allowed place. Raises `BadInputError` for a file that cannot be read as what it is, and if all
    its rows are wrong.
    """
    dates = dates or Dates()
    path = files.place(url).path
    name = encode(path)
    first: BadRow | None = None
    good = False
    try:
        with files.open(name) as stream:
            for each in _reader(url)(stream, name):
                if isinstance(each, BadRow):
                    found: ManifestRow | BadRow = each
                else:
                    row, values = each
                    found = _row(path, row, values, dates)
                if isinstance(found, ManifestRow):
                    try:
                        files.found(found.location, file=name, row=found.row, field="location")
                    except BadInputError as error:
                        if on_bad_row == "refuse":
                            raise
                        found = BadRow(found.row, error.problem, "not_allowed", "location")
                if isinstance(found, BadRow):
                    if on_bad_row == "refuse":
                        raise found.error(name)
                    first = first or found
                good = good or not isinstance(found, BadRow)
                yield found
    except FileNotFoundError as error:
        raise BadInputError("this source does not exist.", file=name) from error
    except OSError as error:
        raise BadInputError(
            f"this manifest cannot be read: {reason_of(error)}.", file=name
        ) from error
    if first and not good:
        raise first.error(name)


def _reader(url: str) -> Any:
    suffix = url.lower().rsplit(".", 1)[-1]
    return {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}[suffix]


def _csv(stream: IO[bytes], name: str) -> Iterator[Row | BadRow]:
    text = unpacked(stream, name, _BUDGET)
    header, rows = csv_rows.table(text, name, _BUDGET, COLUMNS, literal=True)
    _check_columns(header, name)
    yield from rows


def _jsonl(stream: IO[bytes], name: str) -> Iterator[Row | BadRow]:
    for record in json_rows.records(unpacked(stream, name, _BUDGET), name, _BUDGET):
        if isinstance(record, BadRow):
            yield record
        elif not isinstance(record.value, dict):
            yield BadRow(record.number, "not a JSON object.", "not_json")
        elif missing := [column for column in _REQUIRED if column not in record.value]:
            yield BadRow(record.number, "missing.", field=missing[0])
        else:
            yield Row(record.number, record.value)


def _parquet(stream: IO[bytes], name: str) -> Iterator[Row | BadRow]:
    from corpus.rows import parquet_rows

    columns = parquet_rows.columns_of(stream, name)
    _check_columns(columns, name)
    known = [column for column in COLUMNS if column in columns]
    yield from parquet_rows.rows(stream, name, _BUDGET, known)


def _check_columns(header: list[str], name: str) -> None:
    for column in _REQUIRED:
        if column not in header:
            raise BadInputError("there is no such column.", file=name, field=column)
    for column in COLUMNS:
        if header.count(column) > 1:
            raise BadInputError("this column is there more than once.", file=name, field=column)


def _row(path: str, row: int, values: Mapping[str, Any], dates: Dates) -> ManifestRow | BadRow:
    try:
        return _checked(path, row, values, dates)
    except BadValueError as error:
        return BadRow.of(row, error)


def _checked(path: str, row: int, values: Mapping[str, Any], dates: Dates) -> ManifestRow:
    def text(field: str) -> str:
        value = values.get(field)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise BadValueError("is not text.", field=field)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BadValueError("not UTF-8.", field=field) from None
        return value.strip() if field != "location" else value

    sha256 = text("sha256")
    if sha256 and not _SHA256.fullmatch(sha256):
        raise BadValueError("is not a sha256: 64 hex digits.", "bad_hash", "sha256")
    location = text("location")
    if not location.strip():
        raise BadValueError("empty.", field="location")
    if "\0" in location:
        raise BadValueError("a path cannot hold a NUL character.", field="location")
    try:
        first_seen = dates.read_if_any(values.get("first_seen"))
    except BadValueError as error:
        raise BadValueError(str(error), error.reason, "first_seen") from error
    return ManifestRow(
        row,
        encode(_resolve(path, location)),
        sha256.lower() or None,
        first_seen,
        text("source") or None,
        _tags(values.get("tags")),
    )


def _resolve(manifest: str, location: str) -> str:
    here = manifest.startswith("/")
    if _URL.match(location) and not (here and location.startswith("file:")):
        return location
    if here:
        base = os.path.dirname(manifest)
        return os.path.normpath(os.path.join(base, location.removeprefix("file://")))
    # An absolute path makes no sense beside a remote manifest, so it is relative as well.
    return f"{manifest.rsplit('/', 1)[0]}/{location.lstrip('/')}"


def _tags(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    parts = re.split(r"[;,|]", value) if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise BadValueError("is neither text nor a list of texts.", field="tags")
    try:
        for part in parts:
            part.encode()
    except UnicodeEncodeError:
        raise BadValueError("not UTF-8.", field="tags") from None
    return tuple(sorted({part.strip() for part in parts} - {""}))
