"""pefile's warnings, each as the most particular of ember-v3's kinds that fits its text."""

from __future__ import annotations

from collections.abc import Iterable

from corpus.features.ember_v3.pefile_compat.format_warnings import KINDS

__all__ = ["kinds"]

# Beginnings of texts that the definition's list has otherwise than pefile 2024.8.26.
_SPELT = {
    "Error parsing the resources directory, Entry": (
        "Error parsing the resources directory. Entry..."
    ),
    "Error parsing the version information, attempting to read StringTable Value string": (
        "Error parsing the version information, to read StringTable Value string..."
    ),
}
# What a more particular end goes before.
_BROAD = "Suspicious value found parsing section..."
_BEGINNINGS = sorted(
    [
        *_SPELT.items(),
        *((kind[:-3], kind) for kind in KINDS if not kind.startswith("...") and kind != _BROAD),
    ],
    key=lambda pair: -len(pair[0]),
)
_ENDS = sorted(
    ((kind[3:].rstrip("."), kind) for kind in KINDS if kind.startswith("...")),
    key=lambda pair: -len(pair[0]),
)
_KNOWN = frozenset(KINDS)


def kinds(warnings: Iterable[str]) -> set[str]:
    """The kinds of warnings given as texts, or as kinds. Texts of no kind are dropped."""
    found = {warning if warning in _KNOWN else _kind(warning) for warning in warnings}
    return {kind for kind in found if kind is not None}


def _kind(warning: str) -> str | None:
    # Beginnings first: behind them a text may quote the file.
    for beginning, kind in _BEGINNINGS:
        if warning.startswith(beginning):
            return kind
    stripped = warning.rstrip(".")
    for end, kind in _ENDS:
        if stripped.endswith(end):
            return kind
    return _BROAD if warning.startswith(_BROAD[:-3]) else None
