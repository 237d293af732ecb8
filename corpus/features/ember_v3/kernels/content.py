"""Counts and entropies of bytes: the groups general, histogram and byteentropy, and of any range."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.errors import BadInputError
from corpus.features.ember_v3.kernels.compiled import BYTES, byte_array, compiled, part, types
from corpus.features.ember_v3.kernels.window_terms import WINDOW, window_terms

__all__ = ["Content", "general_vector", "shares"]

_STEP = 1_024
# Steps between two checkpoints: 1 KiB of counts for every 16 KiB of the file.
_STRIDE = 16 * _STEP

_TERMS = window_terms()


class Content:
    """What the bytes of a file say, whatever its format.

    counts          int64 [256], how often each byte occurs
    entropy         of all bytes, in bits
    byte_entropy    int64 [256], 16 bins of the window's entropy by 16 values of the upper half byte
    """

    def __init__(self, data: bytes):
        """One pass over `data`, which must not be empty: the definition has no answer then."""
        if not data:
            raise BadInputError("the file is empty")
        self.size = len(data)
        self._bytes = byte_array(data)
        self._checkpoints = np.zeros((self.size // _STRIDE + 1, 256), np.uint32)
        self.byte_entropy = np.zeros(256, np.int64)
        _count_windows(self._bytes, self._checkpoints, _TERMS, self.byte_entropy)
        self.counts = np.zeros(256, np.int64)
        self.entropy: float = _range_entropy(
            self._bytes, self._checkpoints, 0, self.size, self.counts
        )

    def entropy_of(self, start: int, stop: int) -> float:
        """Entropy of the bytes `data[start:stop]`, bits per byte; 0.0 if there are none.

        Costs the 32 KiB at the ends of the range at most, the rest is known from the first pass.
        """
        start, stop = max(start, 0), min(stop, self.size)
        if start >= stop:
            return 0.0
        counts = np.empty(256, np.int64)
        entropy: float = _range_entropy(self._bytes, self._checkpoints, start, stop, counts)
        return entropy

    def general(self, is_pe: bool) -> dict[str, Any]:
        """The raw features of the group general."""
        return {
            "size": self.size,
            "entropy": self.entropy,
            "is_pe": int(is_pe),
            "start_bytes": [int(byte) for byte in self._bytes[:4]] + [0] * (4 - self.size),
        }


def general_vector(raw: Mapping[str, Any]) -> NDArray[np.float32]:
    """The columns of the group general, float32 [7]."""
    return np.array(
        [raw["size"], raw["entropy"], raw["is_pe"], *raw["start_bytes"]], np.float64
    ).astype(np.float32)


def shares(counts: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
    """Counts divided by their sum, both in float32; the columns of histogram and of byteentropy."""
    numbers: NDArray[np.float32] = np.array(counts, np.float32)
    numbers /= numbers.sum()
    return numbers


@part
def _bin(nibbles: NDArray[np.int64], terms: NDArray[np.float32]) -> int:
    """The bin of a window: four times the entropy of its upper half bytes, rounded down.

    Adds as numpy adds float32: one after another where there are fewer than eight, else in eight
    sums side by side.
    """
    present = np.empty(16, np.float32)
    n = 0
    for nibble in range(16):
        if nibbles[nibble]:
            present[n] = terms[nibbles[nibble]]
            n += 1
    total = np.float32(0)
    if n < 8:
        for i in range(n):
            total += present[i]
    elif n < 16:
        total = ((present[0] + present[1]) + (present[2] + present[3])) + (
            (present[4] + present[5]) + (present[6] + present[7])
        )
        for i in range(8, n):
            total += present[i]
    else:
        for i in range(8):
            present[i] += present[i + 8]
        total = ((present[0] + present[1]) + (present[2] + present[3])) + (
            (present[4] + present[5]) + (present[6] + present[7])
        )
    return min(int(total * np.float32(4)), 15)


@compiled(
    types.void(
        BYTES,
        types.Array(types.uint32, 2, "C"),
        types.Array(types.float32, 1, "C"),
        types.Array(types.int64, 1, "C"),
    )
)
def _count_windows(
    data: NDArray[np.uint8],
    checkpoints: NDArray[np.uint32],
    terms: NDArray[np.float32],
    joint: NDArray[np.int64],
) -> None:
    """Fill `checkpoints`, the counts of all bytes before each 16 KiB, and `joint`, byte_entropy."""
    size = len(data)
    # Four tables in turn: a run of one byte would wait for its own count again and again.
    tables = np.zeros(1024, np.uint32)
    totals = np.zeros(256, np.uint32)
    nibbles = np.zeros(16, np.int64)
    window = np.zeros(16, np.int64)
    for start in range(0, size, _STEP):
        if start % _STRIDE == 0:
            checkpoints[start // _STRIDE] = totals
        stop = min(start + _STEP, size)
        i = start
        while i + 4 <= stop:
            tables[np.uint64(data[i])] += np.uint32(1)
            tables[np.uint64(data[i + 1]) + np.uint64(256)] += np.uint32(1)
            tables[np.uint64(data[i + 2]) + np.uint64(512)] += np.uint32(1)
            tables[np.uint64(data[i + 3]) + np.uint64(768)] += np.uint32(1)
            i += 4
        while i < stop:
            tables[data[i]] += np.uint32(1)
            i += 1
        for nibble in range(16):
            window[nibble] = nibbles[nibble]
            nibbles[nibble] = 0
        for value in range(256):
            count = tables[value] + tables[value + 256] + tables[value + 512] + tables[value + 768]
            totals[value] += np.uint32(count)
            nibbles[value >> 4] += count
        tables[:] = 0
        if stop - start < _STEP and size >= WINDOW:
            break
        for nibble in range(16):
            window[nibble] += nibbles[nibble]
        # A file shorter than a window is one all the same.
        if (start > 0 and stop - start == _STEP) or (size < WINDOW and stop == size):
            row = _bin(window, terms) * 16
            for nibble in range(16):
                joint[row + nibble] += window[nibble]
    if size % _STRIDE == 0:
        checkpoints[size // _STRIDE] = totals


@compiled(
    types.float64(
        BYTES,
        types.Array(types.uint32, 2, "C"),
        types.int64,
        types.int64,
        types.Array(types.int64, 1, "C"),
    )
)
def _range_entropy(
    data: NDArray[np.uint8],
    checkpoints: NDArray[np.uint32],
    start: int,
    stop: int,
    counts: NDArray[np.int64],
) -> float:
    """The entropy of data[start:stop]; fills `counts`.

    The terms are added in the order in which values first appear: a sum of floats depends on it.
    """
    counts[:] = 0
    first = -(-start // _STRIDE)
    last = stop // _STRIDE
    head, tail = stop, stop
    if first < last:
        head, tail = first * _STRIDE, last * _STRIDE
        for value in range(256):
            counts[value] = checkpoints[last, value] - checkpoints[first, value]
    for i in range(start, head):
        counts[data[i]] += 1
    for i in range(tail, stop):
        counts[data[i]] += 1
    missing = 0
    unseen = np.zeros(256, np.bool_)
    for value in range(256):
        unseen[value] = counts[value] > 0
        missing += counts[value] > 0
    found = 0
    entropy = 0.0
    position = start
    while found < missing:
        following = position // _STRIDE + 1
        end = min(following * _STRIDE, stop)
        worth = True
        if position % _STRIDE == 0 and following < len(checkpoints):
            worth = False
            for value in range(256):
                worth |= (
                    unseen[value]
                    and checkpoints[following, value] != checkpoints[following - 1, value]
                )
        if worth:
            for i in range(position, end):
                byte = data[i]
                if unseen[byte]:
                    unseen[byte] = False
                    found += 1
                    share = counts[byte] / (stop - start)
                    # CPython's math.log(share, 2), to the bit.
                    entropy -= share * (math.log(share) / math.log(2.0))
                    if found == missing:
                        break
        position = end
    return entropy
