"""Values as they stand in verdict files, checked. Each raises `BadValueError` saying what is wrong.

No text of a file is repeated: row and field say where it stands. Dates are read by `corpus.rows.dates`.
"""

from __future__ import annotations

import math
import re
from typing import Any

from corpus.rows.bad_value import BadValueError

_DIGITS = {"sha256": 64, "sha1": 40, "md5": 32}
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)


def digest(value: Any, kind: str) -> str:
    """A hash of the kind `sha256`, `sha1` or `md5`, in lower case."""
    text = value.strip().lower() if isinstance(value, str) else ""
    digits = _DIGITS[kind]
    if len(text) != digits or not _HEX.fullmatch(text):
        raise BadValueError(f"is not a {kind}: {digits} hexadecimal digits.", "bad_hash")
    return text


def sha256(value: Any) -> str:
    """A sha256 in lower case."""
    return digest(value, "sha256")


def share(value: Any) -> float:
    """A number from 0 to 1."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= 1:
        raise BadValueError("is not a number from 0 to 1.")
    return number


def name(value: Any) -> str:
    """A name as text that UTF-8 can hold."""
    if not isinstance(value, str):
        raise BadValueError("is not a name.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadValueError("is not UTF-8.") from None
    return value.strip()
