"""Verdict files of any kind, told apart by their content."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from typing import IO

from corpus.errors import BadInputError
from corpus.rows import csv_rows, json_rows, parquet_rows
from corpus.rows.bad_value import BadValueError
from corpus.rows.budget import Budget, unpacked
from corpus.rows.dates import Dates
from corpus.rows.kind import HEAD, kind_of
from corpus.rows.row import BadRow, Row
from corpus.settings import VerdictSettings
from corpus.settings.feeds import Feed
from corpus.verdicts import formats, hash_list, manifest, virustotal
from corpus.verdicts.columns import Columns
from corpus.verdicts.families import FamilyNamer
from corpus.verdicts.family_names import FamilyNames
from corpus.verdicts.outcome import ByOtherHash, NoReport, Outcome
from corpus.verdicts.record import MANIFEST, VIRUSTOTAL, Verdict
from corpus.verdicts.records import AVCLASS, Found, unwrapped
from corpus.verdicts.reports import Reports
from corpus.verdicts.rule import Correlation
from corpus.verdicts.voice import ANYBODY, Voice

# The columns by which a table is told, and which are read of it.
_KNOWN = manifest.KNOWN | {name for each in formats.FORMATS for name in each.columns}
_FORMATS = {each.name: each for each in formats.FORMATS}
# With these, columns that are mapped make a manifest of whatever has them.
_OWN = ("auto", MANIFEST)
_WANTED = "a verdict file (CSV, JSON, JSON lines or Parquet)"


class VerdictReader:
    """Reads manifests, VirusTotal reports and the formats of `corpus.verdicts.formats`, compressed or not."""

    def __init__(
        self, settings: VerdictSettings, dates: Dates | None = None, budget: Budget | None = None
    ):
        self.settings = settings
        self.dates = dates or Dates()
        self.budget = budget or Budget()
        self.families = FamilyNames(settings.family_aliases)

    @cached_property
    def _reports(self) -> Reports:
        correlation = Correlation(self.settings.correlated_engines)
        return Reports(self.settings, correlation, FamilyNamer(correlation, self.families))

    def read(
        self, stream: IO[bytes], file: str, feed: Feed | None = None, voice: Voice = ANYBODY
    ) -> Iterator[Outcome]:
        """What each row of a file comes to, in its order; an empty file has none.

        `file` is what errors name; of `feed` only format and columns count here. Rows count from 1: lines of JSONL,
        entries of a JSON list, rows of a table (without the header). A wrong row is a `BadRow`. Raises
        `BadInputError` for a file that cannot be read as what it is, or that is beyond the budget.
        """
        feed = feed or Feed(place=file)
        columns = Columns(feed.columns)
        for number, found in self._objects(stream, file, feed, columns):
            if isinstance(found, BadRow):
                yield found
                continue
            try:
                verdict = self._verdict(found, feed, columns, voice)
            except BadValueError as error:
                yield BadRow.of(number, error)
                continue
            if verdict is None:
                yield NoReport(number)
            elif isinstance(verdict, ByOtherHash):
                yield ByOtherHash(verdict.digest, verdict.verdict._replace(file=file, row=number))
            else:
                yield verdict.identified(file=file, row=number)

    def _objects(
        self, stream: IO[bytes], file: str, feed: Feed, columns: Columns
    ) -> Iterator[tuple[int, Found | BadRow]]:
        head = stream.read(HEAD)
        stream.seek(0)
        if head.startswith(b"PAR1"):
            names = parquet_rows.columns_of(stream, file)
            known = [name for name in names if name in _KNOWN | columns.theirs]
            format_ = _format_of_table(names, file, feed, columns)
            for cells in parquet_rows.rows(stream, file, self.budget, known):
                yield cells.number, Found("", format_, cells.cells)
            return
        text = unpacked(stream, file, self.budget)
        kind = kind_of(text.peek(HEAD)[:HEAD])
        if feed.format == "hashes" and kind in ("text", "JSON"):
            for row in hash_list.rows(text, file, self.budget):
                yield row.number, _found(row, MANIFEST)
        elif kind == "JSON":
            for record in json_rows.records(text, file, self.budget):
                if isinstance(record, BadRow):
                    yield record.number, record
                elif columns and feed.format in _OWN and isinstance(record.value, dict):
                    yield record.number, Found("", MANIFEST, record.value)
                else:
                    for found in unwrapped(record.value):
                        yield record.number, found
        elif kind == "text":
            names, rows = csv_rows.table(text, file, self.budget, _KNOWN | columns.theirs)
            if names:
                format_ = _format_of_table(names, file, feed, columns)
                for row in rows:
                    yield row.number, _found(row, format_)
        elif kind != "empty":
            raise BadInputError(f"is not {_WANTED}: it is {kind}.", file=file)

    def _verdict(
        self, found: Found, feed: Feed, columns: Columns, voice: Voice
    ) -> Verdict | ByOtherHash | None:
        """What an object says; None if it says that there is no report. Raises `BadValueError`."""
        name, cells = found.format, found.value
        if not isinstance(cells, dict):
            raise BadValueError("is not an object.")
        if columns and name == MANIFEST:
            cells = columns.of(cells)
        elif feed.format not in ("auto", name) and name is not None:
            raise BadValueError(f"is not {feed.format}.", "other_format")
        if name == VIRUSTOTAL:
            report = virustotal.report_of(cells, self.dates, found.prefix)
            return None if report is None else self._reports.verdict_of(report, voice)
        if name == MANIFEST:
            return manifest.from_row(cells, voice, self.dates, self.families)
        if name == AVCLASS:
            cells = self._reports.labels_of(cells, self.dates)
        elif name is not None:
            cells = _FORMATS[name].cells(cells) | columns.mapped(cells)
        else:
            raise BadValueError(
                "is neither a verdict (sha256, verdict) nor a report (VirusTotal's v2: scans, v3: "
                "attributes).",
                "no_verdict",
            )
        return manifest.from_row(cells, voice, self.dates, self.families, own=name)


def _found(row: Row | BadRow, format_: str) -> Found | BadRow:
    return row if isinstance(row, BadRow) else Found("", format_, row.cells)


def _format_of_table(names: list[str], file: str, feed: Feed, columns: Columns) -> str:
    """The format of a table with these columns. Raises `BadInputError` if it is none, or not the feed's."""
    for name in names:
        if names.count(name) > 1 and name in _KNOWN | columns.theirs:
            raise BadInputError("there are two such columns.", file=file, field=name)
    for name in columns.theirs:
        if name not in names:
            raise BadInputError("there is no such column.", file=file, field=name)
    if columns and feed.format in _OWN:
        _require({*names, *columns.ours}, file)
        return MANIFEST
    told = formats.told(names)
    if told is None:
        _require(names, file)
    found = told.name if told else MANIFEST
    if feed.format not in ("auto", found):
        raise BadInputError(f"is not {feed.format}: its columns are those of {found}.", file=file)
    return found


def _require(names: Collection[str], file: str) -> None:
    if not _KNOWN & set(names):
        raise BadInputError(
            f"is not {_WANTED}: it is text or a table without the columns sha256 and verdict.",
            file=file,
            hint="`columns` of its feed says what it calls them.",
        )
    if not set(manifest.HASHES) & set(names):
        raise BadInputError("there is no such column.", file=file, field="sha256")
    if "verdict" not in names:
        raise BadInputError("there is no such column.", file=file, field="verdict")
