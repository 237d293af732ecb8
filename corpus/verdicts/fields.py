"""Values as they stand in verdict files, checked. Each raises `BadValueError` saying what is wrong.

No text of a file is repeated: row and field say where it stands. Dates are read by `corpus.rows.dates`.
"""

from __future__ import annotations

import math
import re
from typing import Any

from corpus.rows.bad_value import BadValueError

_SHA256 = re.compile(r"[0-9a-f]{64}")


def sha256(value: Any) -> str:
    digest = value.strip().lower() if isinstance(value, str) else ""
    if not _SHA256.fullmatch(digest):
        raise BadValueError("is not a sha256: 64 hexadecimal digits.")
    return digest


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
