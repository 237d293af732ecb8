"""Feature hashing as scikit-learn's FeatureHasher does it, to the bit.

The column of a name is the absolute value of its MurmurHash3 (x86, 32 bits, seed 0, of its UTF-8
bytes) modulo the number of columns, the sign that of the hash (Weinberger et al. 2009, Feature
Hashing for Large Scale Multitask Learning).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from corpus.features.ember_v3.kernels.compiled import BYTES, byte_array, compiled, types
from corpus.features.ember_v3.kernels.std_sort import sorted_order

__all__ = ["hash_pairs", "hash_strings"]


def hash_strings(
    names: Sequence[str], columns: int, *, alternate_sign: bool = True
) -> NDArray[np.float64]:
    """How often the names of each column occur, float64 [columns]; with signs, if they alternate."""
    hashes = _hashes(names)
    signs = np.where(hashes < 0, -1.0, 1.0) if alternate_sign else None
    return np.bincount(np.abs(hashes) % columns, signs, columns).astype(np.float64, copy=False)


def hash_pairs(pairs: Sequence[tuple[str, float]], columns: int) -> NDArray[np.float64]:
    """Sums of signed values by the hash of their names, float64 [columns]."""
    pairs = [pair for pair in pairs if pair[1] != 0]
    hashes = _hashes([name for name, _ in pairs])
    values = np.array([value for _, value in pairs], np.float64)
    values[hashes < 0] *= -1
    places = np.abs(hashes) % columns
    # Sums of two do not depend on their order, nor do those of (not too large) whole numbers.
    if (
        len(pairs) > 2
        and np.bincount(places).max() > 2
        and not (np.trunc(values) == values).all()
        and (places[1:] < places[:-1]).any()
    ):
        order = sorted_order(places.tolist())
        places, values = places[order], values[order]
    return np.bincount(places, values, columns).astype(np.float64, copy=False)


def _hashes(names: Sequence[str]) -> NDArray[np.int64]:
    """MurmurHash3 of each name as a signed number of 32 bits; a lone surrogate has none."""
    joined = "".join(names)
    if joined.isascii():
        lengths = np.fromiter(map(len, names), np.int64, len(names))
        data = joined.encode("ascii")
    else:
        encoded = [name.encode("utf-8") for name in names]
        lengths = np.fromiter(map(len, encoded), np.int64, len(names))
        data = b"".join(encoded)
    hashes = np.empty(len(names), np.int64)
    _murmur3(byte_array(data), lengths, hashes)
    return hashes


@compiled(types.void(BYTES, types.Array(types.int64, 1, "C"), types.Array(types.int64, 1, "C")))
def _murmur3(
    data: NDArray[np.uint8], lengths: NDArray[np.int64], hashes: NDArray[np.int64]
) -> None:
    """Fill `hashes`, of consecutive pieces of data of these lengths. Appleby 2011, MurmurHash3."""
    low = np.uint64(0xFFFFFFFF)
    c1 = np.uint64(0xCC9E2D51)
    c2 = np.uint64(0x1B873593)
    start = 0
    for number in range(len(lengths)):
        length = lengths[number]
        h = np.uint64(0)
        # The last block is what is left, one to three bytes; it mixes less.
        for block in range(start, start + length, 4):
            left = min(start + length - block, 4)
            k = np.uint64(0)
            for i in range(left):
                k |= np.uint64(data[block + i]) << np.uint64(8 * i)
            k = (k * c1) & low
            k = ((k << np.uint64(15)) | (k >> np.uint64(17))) & low
            h ^= (k * c2) & low
            if left == 4:
                h = ((h << np.uint64(13)) | (h >> np.uint64(19))) & low
                h = (h * np.uint64(5) + np.uint64(0xE6546B64)) & low
        h ^= np.uint64(length)
        h ^= h >> np.uint64(16)
        h = (h * np.uint64(0x85EBCA6B)) & low
        h ^= h >> np.uint64(13)
        h = (h * np.uint64(0xC2B2AE35)) & low
        h ^= h >> np.uint64(16)
        hashes[number] = np.int64(np.int32(np.uint32(h)))
        start += length
