"""Feature hashing: a fixed number of columns for any number of names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache

import numpy as np


# A warm process meets the same imports over and over.
@lru_cache(maxsize=65_536)
def column_and_sign(name: str, columns: int) -> tuple[int, int]:
    """The column of a name, and the sign its values take there."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    number = int.from_bytes(digest, "little")
    return (number >> 1) % columns, 1 if number & 1 else -1


def hashed(items: Iterable[tuple[str, float]], columns: int) -> np.ndarray:
    """Sums of signed values by the hash of their names, float64 [columns].

    The sign makes collisions cancel out on average (Weinberger et al. 2009, Feature Hashing for
    Large Scale Multitask Learning). The hash is BLAKE2b, the same in every process.
    """
    totals = np.zeros(columns)
    for name, value in items:
        column, sign = column_and_sign(name, columns)
        totals[column] += sign * value
    return totals
