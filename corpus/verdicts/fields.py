"""Values as they stand in verdict files, checked. Each raises `ValueError` saying what is wrong."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from typing import Any

_SHA256 = re.compile(r"[0-9a-f]{64}")
_EPOCH = re.compile(r"\d{9,10}(\.\d+)?")
# `fromisoformat` takes any character between date and time, digits too.
_ISO = re.compile(r"\d{4}(-\d\d-\d\d|\d{4})([Tt ].*)?")
# Below lie dates written as a number (20240131), above milliseconds: both would be silently wrong.
_EPOCH_RANGE = (100_000_000, 10_000_000_000)
# What naming tools write where they found no name.
_NO_FAMILY = {"", "-", "none", "null", "unknown", "generic"}


def sha256(value: Any) -> str:
    digest = value.strip().lower() if isinstance(value, str) else ""
    if not _SHA256.fullmatch(digest):
        raise ValueError(f"{_shown(value)} is not a sha256: 64 hexadecimal digits.")
    return digest


def time(value: Any) -> datetime:
    """A time in UTC out of ISO 8601 (without a zone: UTC), or seconds since 1970."""
    if isinstance(value, str):
        value = value.strip()
        if _EPOCH.fullmatch(value):
            value = float(value)
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if not _EPOCH_RANGE[0] <= value < _EPOCH_RANGE[1]:
                raise ValueError
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str) and _ISO.fullmatch(value):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(
        f"{_shown(value)} is not a time: ISO 8601 (2024-01-31, 2024-01-31T12:00:00Z) or seconds "
        "since 1970."
    )


def share(value: Any) -> float:
    """A number from 0 to 1."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= 1:
        raise ValueError(f"{_shown(value)} is not a number from 0 to 1.")
    return number


def name(value: Any) -> str:
    """A name as text that UTF-8 can hold."""
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is not a name.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{_shown(value)} is not UTF-8.") from None
    return value.strip()


def family(value: Any) -> str | None:
    """A family name in lower case; None if the name says that there is none."""
    family = name(value).lower()
    return None if family in _NO_FAMILY or family.startswith("singleton:") else family


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
