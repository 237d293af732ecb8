"""Which words of a family column are names of families, and what each family is called here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from corpus.verdicts import fields

# What people, spreadsheets and naming tools write where they have no name, without what is not a letter or a digit.
_NO_NAMES = frozenset(
    (
        *("none", "null", "nil", "na", "nan", "nat", "undef", "undefined", "unk", "unknown"),
        *("unnamed", "noname", "nofamily", "familyless", "unclassified", "uncategorized"),
        *("unidentified", "unspecified", "undetermined", "undetected", "unlabeled", "unlabelled"),
        *("notavailable", "notapplicable", "notknown", "missing", "empty", "blank", "void", "tbd"),
        *("generic", "other", "others", "misc", "various", "malware", "malicious", "benign"),
        *("goodware", "clean", "true", "false", "yes", "no", "ref", "value", "div0"),
    )
)
_REMEMBERED = 10_000
_NOT_WORD = re.compile(r"[\W_]+")


class FamilyNames:
    """Reads names of families; `aliases` say which other names of yours a family has, in any case."""

    def __init__(self, aliases: Mapping[str, str] | None = None) -> None:
        self._aliases = {
            alias.strip().casefold(): name.strip().lower()
            for alias, name in (aliases or {}).items()
        }
        self._called: dict[str, str | None] = {}

    def read(self, value: Any) -> str | None:
        """The family in lower case; None if the value says that there is none. Raises `BadValueError`."""
        return None if value is None else self.called(fields.name(value))

    def called(self, name: str) -> str | None:
        """What a family of this name is called here; None for what is not a name."""
        # Of some thousand families that a feed names millions of times.
        if name not in self._called:
            if len(self._called) >= _REMEMBERED:
                self._called.clear()
            self._called[name] = self._called_now(name.strip().lower())
        return self._called[name]

    def _called_now(self, name: str) -> str | None:
        called = self._aliases.get(name.casefold(), name)
        squashed = _NOT_WORD.sub("", called)
        if squashed in _NO_NAMES or not re.search(r"[^\W\d_]", called):
            return None
        return None if called.startswith("singleton:") else called
