"""The columns of a feed whose files call them otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpus.settings.feeds import COLUMNS
from corpus.verdicts.formats import verdict_of


class Columns:
    """Gives rows our names: `{verdict: "class"}` for a column of theirs, `{verdict: "=malicious"}` for a value.

    A verdict of a mapped column may be written as others do: 1 and 0, malware and goodware.
    """

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._values = {name: said[1:] for name, said in mapping.items() if said.startswith("=")}
        self._theirs = {name: said for name, said in mapping.items() if name not in self._values}

    def __bool__(self) -> bool:
        return bool(self._values or self._theirs)

    @property
    def ours(self) -> set[str]:
        """The columns that are mapped."""
        return {*self._values, *self._theirs}

    @property
    def theirs(self) -> set[str]:
        """The names that these have in a file."""
        return set(self._theirs.values())

    def of(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """The row with our names. Raises `BadValueError` for a verdict that is none."""
        return {name: cells[name] for name in COLUMNS if name in cells} | self.mapped(cells)

    def mapped(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """The mapped columns alone. Raises `BadValueError` for a verdict that is none."""
        found = {name: cells.get(theirs) for name, theirs in self._theirs.items()} | self._values
        if "verdict" in self._theirs:
            found["verdict"] = verdict_of(found["verdict"], self._theirs["verdict"])
        return found
