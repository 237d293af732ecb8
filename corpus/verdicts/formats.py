"""The tables and records that the field exchanges, each turned into the columns of a manifest.

A format is told by its columns. What it says of a sample is kept as it is: a verdict of MalwareBazaar is that the
sample was shared there as malware, one of EMBER or SOREL-20M is the label of that data set.

| format | told by | verdict |
|---|---|---|
| malwarebazaar | sha256_hash | malicious |
| ember | sha256, label, and appeared, avclass or first_submission_date | label: 1, 0, -1 |
| sorel | sha256, is_malware | is_malware: 1, 0 |
| avclass | av_labels | by the number of labels, as a report |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from corpus.rows.bad_value import BadValueError
from corpus.rows.dates import is_empty
from corpus.verdicts.record import BENIGN, MALICIOUS, UNKNOWN

Cells = Mapping[str, Any]

_NUMBERS = {1: MALICIOUS, 0: BENIGN, -1: UNKNOWN}
_WORDS = {
    **{str(number): verdict for number, verdict in _NUMBERS.items()},
    **dict.fromkeys(("malicious", "malware", "true", "1.0", "mal", "bad"), MALICIOUS),
    **dict.fromkeys(("benign", "goodware", "clean", "false", "0.0", "good", "legit"), BENIGN),
    **dict.fromkeys(("unknown", "unlabeled", "unlabelled", "undecided", "-1.0"), UNKNOWN),
}
_MONTH = re.compile(r"\d{4}-\d\d")


@dataclass(frozen=True)
class Format:
    """A format: its name, which is also its reporter's; how it is told; and its row as one of a manifest."""

    name: str
    told_by: Callable[[Collection[str]], bool]
    columns: tuple[str, ...]
    cells: Callable[[Cells], dict[str, Any]]


def verdict_of(value: Any, field: str) -> str:
    """A verdict as others write it: 1, 0 and -1, true and false, malware, goodware, clean and so on."""
    if isinstance(value, str):
        found = _WORDS.get(value.strip().lower())
    else:
        found = _NUMBERS.get(int(value)) if value in (-1, 0, 1) else None
    if found is None:
        raise BadValueError(
            "is not a verdict: 1, 0, -1, or malicious, benign, unknown.", field=field
        )
    return found


def _malwarebazaar(cells: Cells) -> dict[str, Any]:
    said = {name: None if _not_available(value) else value for name, value in cells.items()}
    shared = said.get("first_seen_utc") or said.get("first_seen")
    # Their column `reporter` is the handle of who shared the sample, not who answers for the verdict.
    return {
        "sha256": said.get("sha256_hash"),
        "verdict": MALICIOUS,
        "family": said.get("signature"),
        "reported_at": shared,
        "first_seen": shared,
    }


def _ember(cells: Cells) -> dict[str, Any]:
    seen = cells.get("first_submission_date")
    if is_empty(seen):
        seen = cells.get("appeared")
    if isinstance(seen, str) and _MONTH.fullmatch(seen.strip()):
        # EMBER 2017 and 2018 tell the month alone.
        seen = f"{seen.strip()}-01"
    family = cells.get("family")
    return {
        "sha256": cells.get("sha256"),
        "verdict": verdict_of(cells.get("label"), "label"),
        "family": cells.get("avclass") if is_empty(family) else family,
        "family_confidence": cells.get("family_confidence"),
        "reported_at": cells.get("last_analysis_date"),
        "first_seen": seen,
    }


def _sorel(cells: Cells) -> dict[str, Any]:
    return {
        "sha256": cells.get("sha256"),
        "verdict": verdict_of(cells.get("is_malware"), "is_malware"),
        "first_seen": cells.get("rl_fs_t"),
    }


def _not_available(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() in ("", "n/a")


FORMATS = (
    Format(
        "malwarebazaar",
        lambda names: "sha256_hash" in names,
        ("sha256_hash", "signature", "first_seen_utc", "first_seen"),
        _malwarebazaar,
    ),
    Format(
        "sorel",
        lambda names: {"sha256", "is_malware"} <= set(names),
        ("sha256", "is_malware", "rl_fs_t"),
        _sorel,
    ),
    Format(
        "ember",
        lambda names: {"sha256", "label"} <= set(names)
        and bool({"appeared", "avclass", "first_submission_date"} & set(names)),
        ("sha256", "label", "appeared", "avclass", "family", "family_confidence",
         "first_submission_date", "last_analysis_date"),
        _ember,
    ),
)  # fmt: skip


def told(names: Collection[str]) -> Format | None:
    """The format of a table or record with these columns; None for a manifest."""
    return next((each for each in FORMATS if each.told_by(names)), None)
