"""Counts over all bytes of a file, whatever its format."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

WINDOW = 2_048
STEP = 1_024
# Bytes counted at once: counting turns each byte into a 64-bit index.
_BLOCK = 512 * STEP

# c * log2(c) for each count c of a window, in units of 2^-30. As integers, so that an entropy
# depends on no order of summation, and a bin on no processor.
_C_LOG_C = np.array(
    [0, *(round(c * math.log2(c) * 2**30) for c in range(1, WINDOW + 1))], dtype=np.int64
)


def byte_counts(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The byte histogram and the byte-entropy histogram of a file, both int64 [256].

    The second is that of Saxe and Berlin 2015 (Deep Neural Network Based Malware Detection Using
    Two Dimensional Binary Program Features) with windows of 2,048 bytes every 1,024: each window adds
    its counts of the upper half of each byte (16 columns) to the row of its entropy (16 rows; the
    entropy of those counts in bits, times 4, rounded down). Bytes behind the last whole window do
    not count; a file that is shorter than one is one window.
    """
    content = np.frombuffer(data, np.uint8)
    whole = len(content) // STEP * STEP
    histogram = np.bincount(content[whole:], minlength=256)
    nibbles = np.zeros((whole // STEP, 16), np.int64)
    for start in range(0, whole, _BLOCK):
        steps = content[start : min(start + _BLOCK, whole)].reshape(-1, STEP)
        index = steps + np.arange(len(steps), dtype=np.int64)[:, None] * 256
        counts = np.bincount(index.ravel(), minlength=len(steps) * 256).reshape(-1, 16, 16)
        histogram += counts.sum(axis=0).ravel()
        nibbles[start // STEP : start // STEP + len(steps)] = counts.sum(axis=2)
    if len(content) >= WINDOW:
        windows, size = nibbles[:-1] + nibbles[1:], WINDOW
    else:
        windows, size = histogram.reshape(1, 16, 16).sum(axis=2), max(len(content), 1)
    entropy = _C_LOG_C[size] - _C_LOG_C[windows].sum(axis=1)
    row = np.minimum(entropy * 4 // (size << 30), 15)
    joint = np.zeros((16, 16), np.int64)
    np.add.at(joint, row, windows)
    return histogram, joint.ravel()


def entropy_bits(histogram: Sequence[int]) -> float:
    """Shannon entropy of a byte histogram in bits, 0 to 8."""
    total = sum(histogram)
    if not total:
        return 0.0
    # fsum is exact: the order of the terms makes no difference.
    weighted = math.fsum(c * math.log2(c) for c in histogram if c)
    return max(math.log2(total) - weighted / total, 0.0)
