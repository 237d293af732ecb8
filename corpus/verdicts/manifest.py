"""Verdict manifests: one row a verdict, as CSV with a header, JSON, JSONL or Parquet.

| column | if it is left out or empty |
|---|---|
| sha256 (or md5, or sha1, of a sample that the corpus has) | refused |
| verdict: malicious, benign, unknown | refused |
| reporter (or `who`): who gave the verdict | as its feed says, `manifest` |
| reported_at (or `when`): a date as `corpus.rows.dates` reads it | older than any that has one |
| confidence: 0 to 1 | 1.0 |
| family | none |
| family_confidence: 0 to 1 | the confidence |
| first_seen: as `reported_at` | not known |

Other columns are not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpus.rows.bad_value import BadValueError
from corpus.rows.dates import Dates, is_empty
from corpus.settings.feeds import COLUMNS
from corpus.verdicts import fields
from corpus.verdicts.family_names import FamilyNames
from corpus.verdicts.outcome import ByOtherHash
from corpus.verdicts.record import MANIFEST, VALUES, Verdict
from corpus.verdicts.voice import Voice

HASHES = ("sha256", "md5", "sha1")
# Shorter names that a file may give these columns.
ALIASES = {"reporter": "who", "reported_at": "when"}
KNOWN = frozenset((*COLUMNS, *ALIASES.values()))


def from_row(
    cells: Mapping[str, Any],
    voice: Voice,
    dates: Dates,
    families: FamilyNames,
    own: str = MANIFEST,
) -> Verdict | ByOtherHash:
    """The verdict of one row; `own` is the reporter that its format has. Raises `BadValueError` with the field."""
    name = ""
    try:
        name, digest = _hash(cells)
        by = name
        name = "verdict"
        verdict = _verdict(cells.get(name))
        name = "reporter"
        name = _name_in(cells, name)
        named = None if is_empty(value := cells.get(name)) else fields.name(value)
        reporter = voice.reporter(named, own)
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
        raise BadValueError(str(error), error.reason, error.field or name) from error
    found = Verdict(
        sha256=digest if by == "sha256" else "",
        verdict=verdict,
        reporter=reporter,
        reported_at=reported_at,
        confidence=confidence,
        family=family,
        family_confidence=family_confidence if family else None,
        source_kind=voice.kind(MANIFEST),
        first_seen=first_seen,
    )
    return found if by == "sha256" else ByOtherHash(digest, found)


def _hash(cells: Mapping[str, Any]) -> tuple[str, str]:
    """The column that says which file it is, and its hash."""
    by = HASHES[0]
    if is_empty(cells.get(by)):
        by = next((name for name in HASHES if not is_empty(cells.get(name))), by)
    try:
        return by, fields.digest(cells.get(by), by)
    except BadValueError as error:
        raise BadValueError(str(error), error.reason, by) from error


def _name_in(cells: Mapping[str, Any], name: str) -> str:
    """The name that a row gives a column: its own, or the shorter one."""
    alias = ALIASES[name]
    if alias not in cells:
        return name
    if name in cells:
        raise BadValueError(f"the row also has {alias!r}, which is a name of the same column.")
    return alias


def _verdict(value: Any) -> str:
    verdict = value.strip().lower() if isinstance(value, str) else ""
    if verdict not in VALUES:
        raise BadValueError(f"is not a verdict: {', '.join(VALUES)}.")
    return verdict
