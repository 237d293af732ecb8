"""The content digest of a snapshot: LtHash16 over its samples, so that an update costs what changed.

Each sample is one row. SHAKE-128 of the row's canonical JSON, read as 1,024 little-endian 16-bit
numbers, is the row's element; the sum of all elements modulo 2^16, number by number, is the state.
Addition commutes and has an inverse, so rows are added and taken away in any order. M. Bellare and
D. Micciancio, "A New Paradigm for Collision-Free Hashing: Incrementality at Reduced Cost" (1997);
the parameters are those of LtHash16.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STATE_BYTES = 2048
# Rows whose elements are summed at once: 8 MiB of them.
_BATCH = 4096


class Row(NamedTuple):
    """What the digest knows of one sample; `vectors` are (feature set, vector_sha256), any order."""

    sha256: str
    label: str | None
    family: str | None
    group_id: str | None
    split: str | None
    vectors: Sequence[tuple[str, str]]


class ContentDigest:
    """The running state; starts empty, or from the 2,048 bytes of an earlier one."""

    def __init__(self, state: bytes | None = None):
        if state is not None and len(state) != STATE_BYTES:
            raise ValueError(f"a digest state has {STATE_BYTES} bytes, not {len(state)}")
        self._sums: NDArray[np.uint16] = np.frombuffer(state or bytes(STATE_BYTES), "<u2").astype(
            np.uint16
        )

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows, in any order."""
        self._sums += _sum(rows)

    def remove(self, rows: Iterable[Row]) -> None:
        """Take rows away exactly as they were added."""
        self._sums -= _sum(rows)

    @property
    def state(self) -> bytes:
        """The state: 1,024 little-endian 16-bit numbers, 2,048 bytes."""
        return self._sums.astype("<u2").tobytes()

    def hexdigest(self) -> str:
        """sha256 of the state, in hex: the `content_digest` of a manifest."""
        return hashlib.sha256(self.state).hexdigest()


def _sum(rows: Iterable[Row]) -> NDArray[np.uint16]:
    total = np.zeros(STATE_BYTES // 2, np.uint16)
    stream = iter(rows)
    while batch := b"".join(map(_element, islice(stream, _BATCH))):
        elements = np.frombuffer(batch, "<u2").reshape(-1, STATE_BYTES // 2)
        total += elements.sum(axis=0, dtype=np.uint16)
    return total


def _element(row: Row) -> bytes:
    canonical = json.dumps(
        [*row[:5], sorted(map(list, row.vectors))], separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.shake_128(canonical.encode()).digest(STATE_BYTES)
