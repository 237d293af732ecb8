"""How verbs report: tables for people, JSON for programs."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def as_json(value: Any) -> None:
    print(json.dumps(value, indent=1))


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "") -> None:
    """Columns as wide as their longest cell; the last is not filled up."""
    every = [titles, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(titles))]
    for row in every:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print((indent + "  ".join(cells)).rstrip())


def size(count: float) -> str:
    """Bytes as a person reads them, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def moment(when: datetime | None) -> str:
    """A time as it is written everywhere here: ISO 8601, UTC, to the second."""
    return when.astimezone(UTC).isoformat(timespec="seconds") if when else "-"
