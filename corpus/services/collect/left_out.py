"""Rows of manifests that are left out: in the report, in the log, and in the table `rejects`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corpus.rows.row import BadRow, numbers

LeftOut = Mapping[str, Sequence[BadRow]]
"""Rows by the manifest in which they stand."""


def reasons(left_out: LeftOut) -> dict[str, int]:
    """How many rows there are of each reason."""
    return dict(sorted(Counter(row.reason for rows in left_out.values() for row in rows).items()))


def lines(left_out: LeftOut) -> Iterator[str]:
    """What a log says of them: one line for each manifest and reason."""
    for manifest, reason, rows in _by_reason(left_out):
        yield f"collect: warning: {manifest}: {reason}, left out: {_told(rows)}"


def reject_rows(left_out: LeftOut) -> list[dict[str, Any]]:
    """Rows of the table `rejects`: one for each manifest and reason."""
    return [
        {
            "location": manifest,
            "source": manifest,
            "reason": f"manifest_{reason}",
            "detail": _told(rows),
            "files": len(rows),
        }
        for manifest, reason, rows in _by_reason(left_out)
    ]


def _by_reason(left_out: LeftOut) -> Iterator[tuple[str, str, list[BadRow]]]:
    for manifest, rows in sorted(left_out.items()):
        for reason in sorted({row.reason for row in rows}):
            yield manifest, reason, [row for row in rows if row.reason == reason]


def _told(rows: Sequence[BadRow]) -> str:
    """Which rows, and what is wrong with the first of them."""
    return f"{numbers(rows, len(rows))}; {rows[0]}"
