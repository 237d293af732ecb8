"""Template fields come out of Jinja as text; these read them back as what they stand for.

`{{ params.sources | tojson }}` gives JSON, `{{ params.limit }}` a number or `None`. Values that are
typed already pass through. Empty text and `None` mean "not given".
"""

from __future__ import annotations

import ast
import json
from contextlib import suppress
from typing import Any

from corpus.errors import BadInputError

_NOTHING = ("", "None", "null")


def text(value: Any) -> str | None:
    """Text without the space around it, or None."""
    stripped = "" if value is None else str(value).strip()
    return None if stripped in _NOTHING else stripped


def texts(value: Any, field: str) -> list[str]:
    """A list of texts: a list, JSON, a list as Python prints it, or one text a line."""
    if value is None:
        return []
    if isinstance(value, str):
        value = value.strip()
        value = _literal(value, field) if value.startswith("[") else value.splitlines()
    if not isinstance(value, list | tuple):
        raise BadInputError(f"{value!r} is not a list of texts.", field=field)
    return [item for item in map(text, value) if item is not None]


def integer(value: Any, field: str) -> int | None:
    """A whole number, or None. 1.0 is one, as it is for the JSON schema of a form."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    plain = text(value)
    if plain is None:
        return None
    for kind in (int, float):
        # Text that is no number, a float that is infinite, and one with a fraction.
        with suppress(ValueError, OverflowError):
            number = int(kind(plain))
            if number == kind(plain):
                return number
    raise BadInputError(f"{plain!r} is not a whole number.", field=field)


def flag(value: Any, field: str) -> bool:
    """True or False; nothing is False."""
    if isinstance(value, bool):
        return value
    plain = (text(value) or "false").lower()
    if plain not in ("true", "false"):
        raise BadInputError(f"{plain!r} is neither true nor false.", field=field)
    return plain == "true"


def _literal(value: str, field: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        pass
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise BadInputError(f"{value!r} is not a list.", field=field) from None
