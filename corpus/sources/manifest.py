"""Reads a manifest: which file is where, and what is known of it.

A CSV (comma, header, UTF-8), JSON Lines or Parquet file with the columns

    sha256       of the executable, in hex; empty where it is not known
    location     path or URL, relative to the manifest's own folder; taken literally
    first_seen   a date, as `corpus.rows.dates` reads it; optional
    source       where the file comes from, in words; optional, the manifest's URL otherwise
    tags         a list, or text separated by `;`, `,` or `|`; optional

Other columns are ignored. Anything wrong is `BadInputError` with file, row (1 is the first row after the
header, or the line of a JSON Lines file) and field.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, NoReturn

from corpus.errors import BadInputError
from corpus.rows.bad_value import BadValueError
from corpus.rows.dates import Dates
from corpus.sources.files import Files, is_local, local_path, reason_of
from corpus.sources.location import encode

COLUMNS = ("sha256", "location", "first_seen", "source", "tags")
_REQUIRED = ("sha256", "location")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class ManifestRow:
    """One row; `location` is absolute and encoded, `first_seen` in UTC."""

    row: int
    location: str
    sha256: str | None
    first_seen: datetime | None
    source: str | None
    tags: tuple[str, ...]


def read_manifest(url: str, files: Files, dates: Dates | None = None) -> Iterator[ManifestRow]:
    """Rows of the manifest at `url`, read as a stream. Raises `BadInputError`."""
    dates = dates or Dates()
    path = local_path(url) if is_local(url) else url
    name = encode(path)
    try:
        with files.open(name) as stream:
            for row, values in _reader(url)(stream, name):
                yield _row(path, name, row, values, dates)
    except FileNotFoundError as error:
        raise BadInputError("this source does not exist.", file=name) from error
    except OSError as error:
        raise BadInputError(
            f"this manifest cannot be read: {reason_of(error)}.", file=name
        ) from error


def _reader(url: str) -> Any:
    suffix = url.lower().rsplit(".", 1)[-1]
    return {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}[suffix]


def _csv(stream: IO[bytes], name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    # Bytes that are not UTF-8 come as surrogates, so that the row and the field are known.
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    lines = csv.reader(text, strict=True)
    row = 0
    try:
        header = [column.strip() for column in next(lines, [])]
        _check_columns(header, name)
        for values in lines:
            if not values:
                continue
            row += 1
            if len(values) != len(header):
                raise BadInputError(
                    f"{len(values)} fields where the header has {len(header)}.", file=name, row=row
                )
            yield row, dict(zip(header, values, strict=True))
    except csv.Error as error:
        raise BadInputError(f"broken CSV: {error}.", file=name, row=row + 1) from error


def _jsonl(stream: IO[bytes], name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for row, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line.decode("utf-8-sig" if row == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            raise BadInputError("this line is not UTF-8.", file=name, row=row) from error
        except (ValueError, RecursionError) as error:
            raise BadInputError(f"broken JSON: {error}.", file=name, row=row) from error
        if not isinstance(values, dict):
            raise BadInputError("not a JSON object.", file=name, row=row)
        for column in _REQUIRED:
            if column not in values:
                raise BadInputError("missing.", file=name, row=row, field=column)
        yield row, values


def _parquet(stream: IO[bytes], name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from corpus.rows.parquet_cells import rows_of

    row = 0
    try:
        file = pq.ParquetFile(stream)
        columns = file.schema_arrow.names
        _check_columns(columns, name)
        for batch in file.iter_batches(columns=[c for c in COLUMNS if c in columns]):
            for values in rows_of(batch):
                row += 1
                yield row, values
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise BadInputError(
            f"broken Parquet: {error}.", file=name, row=row + 1 if row else None
        ) from error


def _check_columns(header: list[str], name: str) -> None:
    for column in _REQUIRED:
        if column not in header:
            raise BadInputError("there is no such column.", file=name, field=column)
    for column in COLUMNS:
        if header.count(column) > 1:
            raise BadInputError("this column is there more than once.", file=name, field=column)


def _row(path: str, name: str, row: int, values: Mapping[str, Any], dates: Dates) -> ManifestRow:
    def bad(field: str, problem: str) -> NoReturn:
        raise BadInputError(problem, file=name, row=row, field=field)

    def text(field: str) -> str:
        value = values.get(field)
        if value is None:
            return ""
        if not isinstance(value, str):
            bad(field, "is not text.")
        try:
            value.encode()
        except UnicodeEncodeError:
            bad(field, "not UTF-8.")
        return value.strip() if field != "location" else value

    sha256 = text("sha256")
    if sha256 and not _SHA256.fullmatch(sha256):
        bad("sha256", "is not a sha256: 64 hex digits.")
    location = text("location")
    if not location.strip():
        bad("location", "empty.")
    if "\0" in location:
        bad("location", "a path cannot hold a NUL character.")
    try:
        first_seen = dates.read_if_any(values.get("first_seen"))
        tags = _tags(values.get("tags"))
    except BadValueError as error:
        bad("first_seen", str(error))
    except UnicodeEncodeError:
        bad("tags", "not UTF-8.")
    except TypeError as error:
        bad("tags", str(error))
    return ManifestRow(
        row,
        encode(_resolve(path, location)),
        sha256.lower() or None,
        first_seen,
        text("source") or None,
        tags,
    )


def _resolve(manifest: str, location: str) -> str:
    if not is_local(location):
        return location
    if is_local(manifest):
        base = os.path.dirname(manifest)
        return os.path.normpath(os.path.join(base, location.removeprefix("file://")))
    # An absolute path makes no sense beside a remote manifest, so it is relative as well.
    return f"{manifest.rsplit('/', 1)[0]}/{location.lstrip('/')}"


def _tags(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    parts = re.split(r"[;,|]", value) if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise TypeError("is neither text nor a list of texts.")
    for part in parts:
        part.encode()
    return tuple(sorted({part.strip() for part in parts} - {""}))
