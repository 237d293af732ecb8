"""The one reader of dates, of manifests and of verdict files: as integers, as text and as times of Parquet.

| value | is |
|---|---|
| 2024-01-31, 2024-01-31T12:00:00Z, 2024-01-31 12:00:00 UTC | ISO 8601; UTC if it has no zone |
| 20240131, as a number or as text | that day: eight digits are never seconds |
| 1706659200, as a number or as text | seconds since 1970 |
| a date or time of Parquet | itself, to the microsecond |

What lies before `dates.earliest` or more than a day ahead is no date: 0, -1 and milliseconds stand for something
else, and one such row moves every split that is made by time.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from corpus.rows.bad_value import BadValueError

EARLIEST = date(1990, 1, 1)
# Somewhere on earth it is tomorrow already, and clocks differ.
_AHEAD = timedelta(days=1)
_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?", re.ASCII)
# `fromisoformat` takes any character between date and time, digits too.
_ISO = re.compile(r"\d{4}(-\d\d-\d\d|\d{4})([Tt ].*)?", re.ASCII | re.DOTALL)
_DAYS = range(1000_01_01, 10_000_00_00)


class Dates:
    """Reads dates from the day `earliest` on, up to a day after `now` (in UTC; the time of the call by default)."""

    def __init__(self, earliest: date = EARLIEST, now: datetime | None = None) -> None:
        self.earliest = datetime(earliest.year, earliest.month, earliest.day, tzinfo=UTC)
        self.latest = (now or datetime.now(UTC)) + _AHEAD

    def read(self, value: Any) -> datetime:
        """The time in UTC. Raises `BadValueError`, with the reason `bad_date` or `future_date`."""
        try:
            found = _moment(value)
        except (ValueError, OverflowError, OSError):
            found = None
        if found is None:
            raise BadValueError(
                "is not a date: ISO 8601 (2024-01-31, 2024-01-31T12:00:00Z), 20240131, or seconds "
                "since 1970; empty or null if it is not known.",
                "bad_date",
            )
        if found < self.earliest:
            raise BadValueError(
                f"is read as {found.date()}, which is before {self.earliest.date()} "
                "(dates.earliest), so it is not taken for a date; leave it empty or null if it is "
                "not known.",
                "bad_date",
            )
        if found > self.latest:
            raise BadValueError(
                f"is read as {found.date()}, which is in the future; leave it empty or null if it "
                "is not known.",
                "future_date",
            )
        return found

    def read_if_any(self, value: Any) -> datetime | None:
        """The time in UTC; None for None and for empty text. Raises `BadValueError`."""
        return None if is_empty(value) else self.read(value)


def is_empty(value: Any) -> bool:
    """Whether a cell says nothing."""
    return value is None or (isinstance(value, str) and not value.strip())


def _moment(value: Any) -> datetime | None:
    if isinstance(value, str):
        value = value.strip()
        if not _NUMBER.fullmatch(value):
            if not _ISO.fullmatch(value):
                return None
            if value.endswith("UTC"):
                value = f"{value[:-3].rstrip()}Z"
            return _in_utc(datetime.fromisoformat(value))
        value = float(value)
    if isinstance(value, datetime):
        return _in_utc(value)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    # Numbers of a column with gaps are floats in pandas: 20240131.0.
    if value in _DAYS:
        day = int(value)
        return datetime(day // 10_000, day // 100 % 100, day % 100, tzinfo=UTC)
    return datetime.fromtimestamp(float(value), UTC)


def _in_utc(value: datetime) -> datetime:
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
