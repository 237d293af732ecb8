"""Verdict manifests: one row a verdict, as CSV with a header, JSON, JSONL or Parquet.

| column | if it is left out or empty |
|---|---|
| sha256 | refused |
| verdict: malicious, benign, unknown | refused |
| reporter (or `who`): who gave the verdict | `manifest` |
| reported_at (or `when`): a date as `corpus.rows.dates` reads it | older than any that has one |
| confidence: 0 to 1 | 1.0 |
| family | none |
| family_confidence: 0 to 1 | the confidence |
| first_seen: as `reported_at` | not known |

Other columns are not read. Anything else that is wrong refuses the whole file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpus.errors import BadInputError
from corpus.rows.bad_value import BadValueError
from corpus.rows.dates import Dates, is_empty
from corpus.verdicts import fields
from corpus.verdicts.family_names import FamilyNames
from corpus.verdicts.record import MANIFEST, VALUES, Verdict

REQUIRED = ("sha256", "verdict")
# Shorter names that a file may give these columns.
ALIASES = {"reporter": "who", "reported_at": "when"}
COLUMNS = (
    *("sha256", "verdict", "reporter", "reported_at", "confidence"),
    *("family", "family_confidence", "first_seen"),
)


def from_row(
    cells: Mapping[str, Any], file: str, row: int, dates: Dates, families: FamilyNames
) -> Verdict:
    """The verdict of one manifest row. Raises `BadInputError` naming file, row and field."""
    name = "sha256"
    try:
        sha256 = fields.sha256(cells.get("sha256"))
        name = "verdict"
        verdict = _verdict(cells.get("verdict"))
        name = "reporter"
        name = _name_in(cells, name)
        reporter = MANIFEST if is_empty(value := cells.get(name)) else fields.name(value)
        name = "reported_at"
        name = _name_in(cells, name)
        reported_at = dates.read_if_any(cells.get(name))
        name = "confidence"
        confidence = 1.0 if is_empty(value := cells.get(name)) else fields.share(value)
        name = "family"
        family = families.read(cells.get(name))
        name = "family_confidence"
        family_confidence = (
            confidence if is_empty(value := cells.get(name)) else fields.share(value)
        )
        name = "first_seen"
        first_seen = dates.read_if_any(cells.get(name))
    except BadValueError as error:
        raise BadInputError(str(error), file=file, row=row, field=name) from error
    return Verdict(
        sha256=sha256,
        verdict=verdict,
        reporter=reporter,
        reported_at=reported_at,
        confidence=confidence,
        family=family,
        family_confidence=family_confidence if family else None,
        first_seen=first_seen,
        file=file,
        row=row,
    )


def _name_in(cells: Mapping[str, Any], name: str) -> str:
    """The name that a row gives a column: its own, or the shorter one."""
    alias = ALIASES[name]
    if alias not in cells:
        return name
    if name in cells:
        raise BadValueError(f"the row also has {alias!r}, which is a name of the same column.")
    return alias


def _verdict(value: Any) -> str:
    verdict = value.strip().lower() if isinstance(value, str) else value
    if verdict not in VALUES:
        raise BadValueError(f"is not a verdict: {', '.join(VALUES)}.")
    return str(verdict)
