"""Verdict files of any kind, told apart by their content."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.errors import BadInputError
from corpus.rows.dates import Dates
from corpus.rows.parquet_cells import rows_of
from corpus.settings import VerdictSettings
from corpus.verdicts import manifest, virustotal
from corpus.verdicts.families import FamilyNamer
from corpus.verdicts.family_names import FamilyNames
from corpus.verdicts.record import VIRUSTOTAL, Verdict
from corpus.verdicts.rule import Correlation, judge

_BOM = b"\xef\xbb\xbf"


class VerdictReader:
    """Reads manifests (CSV, JSON, JSONL, Parquet) and VirusTotal reports (JSON, JSONL), also gzipped."""

    def __init__(self, settings: VerdictSettings, dates: Dates | None = None):
        self.settings = settings
        self.dates = dates or Dates()
        self.correlation = Correlation(settings.correlated_engines)
        self.families = FamilyNames(settings.family_aliases)

    @cached_property
    def _namer(self) -> FamilyNamer:
        return FamilyNamer(self.correlation, self.families)

    def read(self, stream: IO[bytes], file: str) -> Iterator[Verdict]:
        """The verdicts of one file, in its order; an empty file has none.

        `file` is what errors name. Rows count from 1: lines of JSONL, entries of a JSON list, rows
        of a table (without the header). Raises `BadInputError` naming file, row and field.
        """
        try:
            for verdict in self._read(stream, file):
                yield verdict.identified()
        except (gzip.BadGzipFile, EOFError) as error:
            raise BadInputError(f"is not a whole gzip file: {error}", file=file) from error

    def _read(self, stream: IO[bytes], file: str) -> Iterator[Verdict]:
        head = _head(stream)
        if head.startswith(b"\x1f\x8b"):
            stream = cast(IO[bytes], gzip.GzipFile(fileobj=stream))
            head = _head(stream)
        if head.startswith(b"PAR1"):
            for row, cells in _parquet(stream, file):
                yield self._row(cells, file, row)
        elif head.removeprefix(_BOM).lstrip()[:1] in (b"{", b"["):
            for row, record in _json(stream, file):
                yield from self._record(record, file, row)
        else:
            for row, cells in _csv(stream, file):
                yield self._row(cells, file, row)

    def _row(self, cells: Mapping[str, Any], file: str, row: int) -> Verdict:
        return manifest.from_row(cells, file, row, self.dates, self.families)

    def _record(self, record: Any, file: str, row: int) -> Iterator[Verdict]:
        if not isinstance(record, dict):
            raise BadInputError("is not an object.", file=file, row=row)
        if "verdict" in record:
            yield self._row(record, file, row)
        elif virustotal.is_report(record):
            for report in virustotal.reports(record, file, row, self.dates):
                yield self.verdict_of(report, file, row)
        elif "sha256" in record:
            yield self._row(record, file, row)
        else:
            raise BadInputError(
                "is neither a verdict (sha256, verdict) nor a VirusTotal report (v2: scans, "
                "v3: data or attributes).",
                file=file,
                row=row,
            )

    def verdict_of(self, report: virustotal.ScanReport, file: str, row: int) -> Verdict:
        """The verdict of one VirusTotal report, by EMBER2024's rule and the settings' thresholds."""
        engines = len(self.correlation.voters(a.engine for a in report.answers))
        detections = len(self.correlation.voters(a.engine for a in report.answers if a.detected))
        verdict, confidence = judge(
            detections,
            engines,
            self.settings.malicious_threshold,
            self.settings.benign_threshold,
        )
        family, family_confidence = self._namer.name(report)
        return Verdict(
            sha256=report.sha256,
            verdict=verdict,
            reporter=VIRUSTOTAL,
            reported_at=report.reported_at,
            confidence=confidence,
            family=family,
            family_confidence=family_confidence,
            source_kind=VIRUSTOTAL,
            detections=detections,
            engines=engines,
            first_seen=report.first_seen,
            file=file,
            row=row,
        )


def _head(stream: IO[bytes]) -> bytes:
    head = stream.read(4096)
    stream.seek(0)
    return head


def _csv(stream: IO[bytes], file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    row = 0
    # Escaped, so that bytes that are not UTF-8 are refused with the row and field they stand in.
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        lines = csv.reader(text, strict=True)
        header = [name.strip() for name in next(lines, [])]
        if not header:
            return
        _require(header, file)
        for cells in lines:
            if not cells:
                continue
            row += 1
            if len(cells) != len(header):
                raise BadInputError(
                    f"has {len(cells)} cells; the header has {len(header)}.", file=file, row=row
                )
            yield row, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise BadInputError(f"is not CSV: {error}.", file=file, row=row + 1) from error
    finally:
        # The stream is its opener's to close.
        text.detach()


def _parquet(stream: IO[bytes], file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    row = 0
    try:
        table = pq.ParquetFile(stream)
        names = table.schema_arrow.names
        _require(names, file)
        known = [name for name in names if name in _COLUMNS]
        for batch in table.iter_batches(columns=known):
            for cells in rows_of(batch):
                row += 1
                yield row, cells
    except (pa.ArrowException, OSError) as error:
        raise BadInputError(f"is not a whole Parquet file: {error}", file=file) from error


_COLUMNS = {*manifest.COLUMNS, *manifest.ALIASES.values()}


def _require(names: list[str], file: str) -> None:
    for name in manifest.REQUIRED:
        if name not in names:
            raise BadInputError(
                f"there is no such column; there are: {', '.join(names) or 'none'}.",
                file=file,
                field=name,
            )
    for name in names:
        if names.count(name) > 1 and name in _COLUMNS:
            raise BadInputError("there are two such columns.", file=file, field=name)


def _json(stream: IO[bytes], file: str) -> Iterator[tuple[int, Any]]:
    """Records of JSON lines one at a time, or of one JSON document; each with its row."""
    first = stream.readline()
    row = 1
    while first and not first.removeprefix(_BOM).strip():
        first = stream.readline()
        row += 1
    try:
        record = json.loads(first.removeprefix(_BOM))
        rest = stream.readline()
        while rest and not rest.strip():
            rest = stream.readline()
    except (ValueError, RecursionError):
        rest = b""
        record = None
    if rest and isinstance(record, dict):
        stream.seek(0)
        for row, line in enumerate(stream, start=1):
            if line.removeprefix(_BOM).strip():
                yield row, _loads(line.removeprefix(_BOM), file, row)
        return
    stream.seek(0)
    document = _loads(stream.read().removeprefix(_BOM), file, 1)
    if isinstance(document, list):
        yield from enumerate(document, start=1)
    else:
        yield 1, document


def _loads(text: bytes, file: str, row: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = row + error.lineno - 1
        raise BadInputError(
            f"is not JSON: {error.msg}, column {error.colno}.", file=file, row=line
        ) from error
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"is not JSON: {error}.", file=file, row=row) from error
