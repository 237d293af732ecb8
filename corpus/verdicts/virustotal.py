"""VirusTotal file reports of API v2 and v3.

v2 is a scan report (`scans`, `scan_date`, `sha256`), v3 a file object (`attributes` with
`last_analysis_results` and `last_analysis_date`), alone or as `data` of an answer, which may hold
several. Of a file that VirusTotal does not know, or has not analysed, there is no report: v2 says so
by a `response_code` other than 1, v3 by an `error` or no `last_analysis_date`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from corpus.rows.bad_value import BadValueError
from corpus.rows.dates import Dates
from corpus.verdicts import fields

# v3's categories of an engine that gave an answer. The others (type-unsupported, failure, timeout,
# confirmed-timeout) gave none, and neither did one whose category is not known here.
DETECTED = {"malicious", "suspicious"}
NOT_DETECTED = {"undetected", "harmless"}
# The reason of a report in which no engine answered: it is evidence of nothing.
NO_ENGINES = "no_engines"
_NOBODY = "no engine gave an answer."


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
    """A JSON object of a report whose fields are read with their names in hand, for errors."""

    def __init__(self, value: Any, dates: Dates, prefix: str = "", missing: str = "bad_value"):
        self.dates, self.prefix = dates, prefix
        if not isinstance(value, Mapping):
            raise self.error("is not an object.", "", missing)
        self.value = value

    def error(self, problem: str, name: str, reason: str = "bad_value") -> BadValueError:
        field = (self.prefix + name).rstrip(".")
        return BadValueError(problem, reason, field or None)

    def child(self, name: str, missing: str = "bad_value") -> _Object:
        return _Object(self.value.get(name), self.dates, f"{self.prefix}{name}.", missing)

    def of_engine(self, engine: str) -> _Object:
        """What one engine said. An error tells its number, since a file may call an engine anything."""
        return _Object(
            self.value[engine], self.dates, f"{self.prefix.rstrip('.')}[{self.numbers[engine]}]."
        )

    @cached_property
    def numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.value, 1)}

    def sha256(self) -> str:
        try:
            return fields.sha256(self.value.get("sha256"))
        except BadValueError as error:
            raise self.error(str(error), "sha256", error.reason) from error

    def time(self, name: str) -> datetime:
        try:
            return self.dates.read(self.value.get(name))
        except BadValueError as error:
            raise self.error(str(error), name, error.reason) from error

    def time_if_any(self, name: str) -> datetime | None:
        return None if self.value.get(name) in (None, "", 0) else self.time(name)

    def text(self, name: str) -> str:
        value = self.value.get(name)
        return value if isinstance(value, str) else ""


def is_report(record: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a report of either version, or says that there is none."""
    return any(name in record for name in ("scans", "response_code", "attributes", "error"))


def report_of(record: Mapping[str, Any], dates: Dates, prefix: str = "") -> ScanReport | None:
    """The report of one JSON object, None if it says that there is none. Raises `BadValueError` with the field."""
    if "scans" in record or "response_code" in record:
        if record.get("response_code", 1) != 1:
            return None
        return _version_2(_Object(record, dates, prefix))
    return _version_3(_Object(record, dates, prefix)) if "attributes" in record else None


def _version_2(report: _Object) -> ScanReport:
    answers = []
    scans = report.child("scans", NO_ENGINES)
    for engine in sorted(scans.value):
        # v2 leaves out engines that failed; some exports keep them with nothing in them.
        if scans.value[engine] is None:
            continue
        scan = scans.of_engine(engine)
        detected = scan.value.get("detected")
        if detected is None:
            continue
        if not isinstance(detected, bool):
            raise scan.error("is neither true nor false.", "detected")
        answers.append(Answer(engine, detected, scan.text("result") or None))
    if not answers:
        raise scans.error(_NOBODY, "", NO_ENGINES)
    return ScanReport(
        sha256=report.sha256(),
        reported_at=report.time("scan_date"),
        first_seen=report.time_if_any("first_seen"),
        answers=answers,
        hashes=(report.text("md5"), report.text("sha1")),
    )


def _version_3(entry: _Object) -> ScanReport | None:
    attributes = entry.child("attributes")
    sha256 = attributes.sha256()
    reported_at = attributes.time_if_any("last_analysis_date")
    if reported_at is None:
        return None
    answers = []
    results = attributes.child("last_analysis_results", NO_ENGINES)
    for engine in sorted(results.value):
        result = results.of_engine(engine)
        category = result.text("category")
        if category in DETECTED or category in NOT_DETECTED:
            answers.append(Answer(engine, category in DETECTED, result.text("result") or None))
    if not answers:
        raise results.error(_NOBODY, "", NO_ENGINES)
    return ScanReport(
        sha256=sha256,
        reported_at=reported_at,
        first_seen=attributes.time_if_any("first_submission_date"),
        answers=answers,
        hashes=(attributes.text("md5"), attributes.text("sha1")),
    )
