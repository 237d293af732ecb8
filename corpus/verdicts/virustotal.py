"""VirusTotal file reports of API v2 and v3.

v2 is a scan report (`scans`, `scan_date`, `sha256`), v3 a file object (`attributes` with
`last_analysis_results` and `last_analysis_date`), alone or as `data` of an answer, which may hold
several. Of a file that VirusTotal does not know, or has not analysed, there is no report: v2 says so
by a `response_code` other than 1, v3 by an `error` or no `last_analysis_date`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from corpus.errors import BadInputError
from corpus.rows.bad_value import BadValueError
from corpus.rows.dates import Dates
from corpus.verdicts import fields

# v3's categories of an engine that gave an answer. The others (type-unsupported, failure, timeout,
# confirmed-timeout) gave none, and neither did one whose category is not known here.
DETECTED = {"malicious", "suspicious"}
NOT_DETECTED = {"undetected", "harmless"}


@dataclass(frozen=True)
class Answer:
    """What one engine said: whether it detected the file, and the name it gave."""

    engine: str
    detected: bool
    name: str | None


@dataclass(frozen=True)
class ScanReport:
    """One report: when the file was scanned and first submitted, and who answered what.

    `answers` are in the order of the engines' names, without engines that gave no answer.
    """

    sha256: str
    reported_at: datetime
    first_seen: datetime | None
    answers: list[Answer]
    hashes: tuple[str, str]


class _Object:
    """A JSON object of a report whose fields are read with the place in hand, for errors."""

    def __init__(self, value: Any, file: str, row: int, dates: Dates, prefix: str = ""):
        self.file, self.row, self.dates, self.prefix = file, row, dates, prefix
        if not isinstance(value, Mapping):
            raise self.error("is not an object.", "")
        self.value = value

    def error(self, problem: str, name: str) -> BadInputError:
        field = (self.prefix + name).rstrip(".")
        return BadInputError(problem, file=self.file, row=self.row, field=field or None)

    def child(self, name: str) -> _Object:
        return _Object(
            self.value.get(name), self.file, self.row, self.dates, f"{self.prefix}{name}."
        )

    def sha256(self) -> str:
        try:
            return fields.sha256(self.value.get("sha256"))
        except BadValueError as error:
            raise self.error(str(error), "sha256") from error

    def time(self, name: str) -> datetime:
        try:
            return self.dates.read(self.value.get(name))
        except BadValueError as error:
            raise self.error(str(error), name) from error

    def time_if_any(self, name: str) -> datetime | None:
        return None if self.value.get(name) in (None, "", 0) else self.time(name)

    def text(self, name: str) -> str:
        value = self.value.get(name)
        return value if isinstance(value, str) else ""


def is_report(record: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a VirusTotal answer, of either version."""
    return any(name in record for name in ("scans", "response_code", "data", "attributes", "error"))


def reports(record: Mapping[str, Any], file: str, row: int, dates: Dates) -> Iterator[ScanReport]:
    """The reports of one JSON object. Raises `BadInputError` naming file, row and field."""
    if "scans" in record or "response_code" in record:
        if record.get("response_code", 1) == 1:
            yield _version_2(_Object(record, file, row, dates))
    elif "data" in record:
        data = record["data"]
        for entry in data if isinstance(data, list) else [data]:
            yield from _version_3(_Object(entry, file, row, dates, "data."))
    elif "attributes" in record:
        yield from _version_3(_Object(record, file, row, dates))


def _version_2(report: _Object) -> ScanReport:
    answers = []
    scans = report.child("scans")
    for engine in sorted(scans.value):
        # v2 leaves out engines that failed; some exports keep them with nothing in them.
        if scans.value[engine] is None:
            continue
        scan = scans.child(engine)
        detected = scan.value.get("detected")
        if detected is None:
            continue
        if not isinstance(detected, bool):
            raise scan.error("is neither true nor false.", "detected")
        answers.append(Answer(engine, detected, scan.text("result") or None))
    return ScanReport(
        sha256=report.sha256(),
        reported_at=report.time("scan_date"),
        first_seen=report.time_if_any("first_seen"),
        answers=answers,
        hashes=(report.text("md5"), report.text("sha1")),
    )


def _version_3(entry: _Object) -> Iterator[ScanReport]:
    if "error" in entry.value and "attributes" not in entry.value:
        return
    attributes = entry.child("attributes")
    sha256 = attributes.sha256()
    reported_at = attributes.time_if_any("last_analysis_date")
    if reported_at is None:
        return
    answers = []
    results = attributes.child("last_analysis_results")
    for engine in sorted(results.value):
        result = results.child(engine)
        category = result.text("category")
        if category in DETECTED or category in NOT_DETECTED:
            answers.append(Answer(engine, category in DETECTED, result.text("result") or None))
    yield ScanReport(
        sha256=sha256,
        reported_at=reported_at,
        first_seen=attributes.time_if_any("first_submission_date"),
        answers=answers,
        hashes=(attributes.text("md5"), attributes.text("sha1")),
    )
