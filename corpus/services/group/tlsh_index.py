"""All TLSH digests within a distance of given ones: exact, and without comparing all with all.

The distance is that of the TLSH paper and of py-tlsh's `tlsh.diff` (length included): Oliver, Cheng,
Chen, "TLSH - A Locality Sensitive Hash", 2013. A digest is `T1` and 35 bytes as hex digits: checksum,
length, the two quartile ratios (each of these three with its hex digits swapped), and a body of 128
buckets of two bits. The distance is the sum of

- 1 if the checksums differ;
- the step between the lengths, modulo 256: 1 for one step, else 12 for each;
- the step between each of the ratios, modulo 16: 1 for one step, else 12 for each but the first;
- 0, 1, 2 or 6 for each bucket whose values are 0, 1, 2 or 3 apart.

So a small distance allows few steps in the header, and digests are sorted by their headers: a query
reads only the stretches it can reach. There, a bucket written in unary (0, 1, 2, 3 as 000, 001, 011,
111) makes the body's distance at least the number of differing bits. The middle bits alone, two
words of a digest, rule out nearly everything, and what is left is computed in full.
"""

from __future__ import annotations

import binascii
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.errors import BadInputError

Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

DIGEST_LENGTH = 72
_EVEN = np.uint64(0x5555_5555_5555_5555)
_ONE = np.uint64(1)
_FOUR = np.uint8(4)
# Pairs looked at in one go: their scratch arrays should stay in a core's cache.
_BLOCK_PAIRS = 1 << 16
_BATCH_PAIRS = 1 << 20

_DIGIT = np.array(
    [int(chr(n), 16) if chr(n) in string.hexdigits else 0 for n in range(256)], np.uint16
)
_STEPS = np.arange(256)
_CIRCLE = np.minimum(_STEPS, 256 - _STEPS)
LENGTH_COST = np.where(_CIRCLE <= 1, _CIRCLE, 12 * _CIRCLE).astype(np.int16)
_CIRCLE_16 = np.minimum(_STEPS[:16], 16 - _STEPS[:16])
RATIO_COST = np.where(_CIRCLE_16 <= 1, _CIRCLE_16, 12 * (_CIRCLE_16 - 1)).astype(np.int16)


@dataclass(frozen=True)
class Digests:
    """Parsed digests, one a position: header bytes, and the body's 128 buckets as bits.

    `checksum`, `length`, `ratio1` and `ratio2` (0 to 15) are uint8 [n]. `middle`, uint64 [2, n], has
    the middle bit of each bucket's unary form; `outer`, uint64 [4, n], its other two: the one that
    any value but 0 has on even bits, the one that only 3 has on odd bits.
    """

    checksum: Bytes
    length: Bytes
    ratio1: Bytes
    ratio2: Bytes
    middle: Words
    outer: Words

    def __len__(self) -> int:
        return len(self.checksum)

    @property
    def cell(self) -> npt.NDArray[np.uint16]:
        """Length and both ratios as one number, uint16 [n]: what digests are sorted by."""
        cell = self.length.astype(np.uint16) << np.uint16(8)
        cell |= self.ratio1.astype(np.uint16) << _FOUR
        cell |= self.ratio2
        return cell

    def take(self, rows: Indices | slice | tuple[Indices, None]) -> Digests:
        """Some of the digests, as numpy indexes by `rows`: positions, a slice, or (positions, None),
        which gives each array one more axis of length 1 at its end."""
        deep = rows if isinstance(rows, tuple) else (rows,)
        return Digests(
            self.checksum[rows],
            self.length[rows],
            self.ratio1[rows],
            self.ratio2[rows],
            self.middle[:, *deep],
            self.outer[:, *deep],
        )


class Neighbours(NamedTuple):
    """Pairs within the limit, int64 [pairs] each: position of the query and in the index, distance."""

    query: Indices
    row: Indices
    distance: Indices


def parse(digests: pa.Array | pa.ChunkedArray) -> Digests:
    """Parse n digests of 72 characters (`T1` and 70 hex digits), in their order.

    Raises `BadInputError`, field `tlsh`, if one is null or malformed.
    """
    chunks = digests.chunks if isinstance(digests, pa.ChunkedArray) else [digests]
    raw = [_raw_bytes(chunk) for chunk in chunks if len(chunk)]
    data = np.concatenate(raw) if raw else np.empty((0, 35), np.uint8)
    swapped = (data[:, :3] << _FOUR) | (data[:, :3] >> _FOUR)
    body = np.ascontiguousarray(data[:, 3:]).view(np.uint64).T
    high, low = (body >> _ONE) & _EVEN, body & _EVEN
    return Digests(
        checksum=swapped[:, 0].copy(),
        length=swapped[:, 1].copy(),
        # Which digit is which ratio does not matter: both cost the same.
        ratio1=swapped[:, 2] >> _FOUR,
        ratio2=swapped[:, 2] & np.uint8(15),
        middle=np.ascontiguousarray(high[:2] | (high[2:] << _ONE)),
        outer=np.ascontiguousarray((high | low) | ((high & low) << _ONE)),
    )


def cells(digests: pa.ChunkedArray) -> npt.NDArray[np.uint16]:
    """Read `Digests.cell`, uint16 [n], of digests: a fraction of the work of `parse`.

    Raises `BadInputError`, field `tlsh`, if one is null or does not have 72 characters.
    """
    found = [np.empty(0, np.uint16)]
    for chunk in digests.chunks:
        # The digits of length and ratios, in the order that `parse` has them in.
        high, low, second, first = (_DIGIT[column] for column in _text(chunk)[:, 4:8].T)
        found.append((low << 12) | (high << 8) | (first << 4) | second)
    return np.concatenate(found)


def reachable(queries: Digests, limit: int) -> npt.NDArray[np.bool_]:
    """Which cells a neighbour within a distance of `limit` of any query may be in: bool [65536]."""
    steps = np.array(
        [
            (length, ratio1, ratio2)
            for length, ratio1, width, _ in _reach(limit)
            for ratio2 in range(-width, width + 1)
        ]
    )
    cell = np.unique(queries.cell).astype(np.int64)[:, None]
    length = ((cell >> 8) + steps[:, 0]) & 255
    ratio1 = ((cell >> 4) + steps[:, 1]) & 15
    ratio2 = (cell + steps[:, 2]) & 15
    found = np.zeros(1 << 16, np.bool_)
    found[(length << 8) | (ratio1 << 4) | ratio2] = True
    return found


def _raw_bytes(chunk: pa.Array) -> Bytes:
    """The 35 bytes of each digest; no Python object is made for any of them."""
    text = _text(chunk)
    try:
        if np.any(text[:, 0] != ord("T")) or np.any(text[:, 1] != ord("1")):
            raise ValueError("another version")
        data = binascii.unhexlify(text[:, 2:].tobytes())
    except ValueError as error:
        raise BadInputError("a TLSH digest is not T1 and 70 hex digits.", field="tlsh") from error
    return np.frombuffer(data, np.uint8).reshape(len(chunk), 35)


def _text(chunk: pa.Array) -> Bytes:
    """The 72 characters of each digest."""
    lengths = pc.binary_length(chunk)
    if chunk.null_count or not pc.all(pc.equal(lengths, DIGEST_LENGTH)).as_py():
        raise BadInputError(
            f"a TLSH digest does not have {DIGEST_LENGTH} characters.", field="tlsh"
        )
    chunk = chunk.cast(pa.string())
    start = int(np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset])
    text = np.frombuffer(chunk.buffers()[2], np.uint8)[start : start + DIGEST_LENGTH * len(chunk)]
    return text.reshape(len(chunk), DIGEST_LENGTH)


def distances(left: Digests, right: Digests) -> npt.NDArray[np.int16]:
    """The TLSH distance of each position's pair of digests: int16, of the shape that both broadcast to."""
    total: npt.NDArray[np.int16] = (left.checksum != right.checksum).astype(np.int16)
    total += LENGTH_COST[left.length - right.length]
    total += RATIO_COST[(left.ratio1 - right.ratio1) & np.uint8(15)]
    total += RATIO_COST[(left.ratio2 - right.ratio2) & np.uint8(15)]
    for a, b in zip(left.middle, right.middle, strict=True):
        total += np.bitwise_count(a ^ b)
    for a, b in zip(left.outer, right.outer, strict=True):
        differing = a ^ b
        total += np.bitwise_count(differing)
        # Both outer bits differ only between 0 and 3, which costs 6 where there are 3 bits.
        total += np.uint8(3) * np.bitwise_count(differing & (differing >> _ONE) & _EVEN)
    return total


class TlshIndex:
    """Digests, sorted by header, that are asked for neighbours within a distance of `limit` (0 or more)."""

    def __init__(self, digests: Digests, limit: int):
        self.limit = limit
        cell = digests.cell
        self._order = np.argsort(cell, kind="stable")
        self._digests = digests.take(self._order)
        self._starts = np.zeros(1 + (1 << 16), np.int64)
        np.cumsum(np.bincount(cell, minlength=1 << 16), out=self._starts[1:])
        self._reach = list(_reach(limit))

    def neighbours(self, queries: Digests) -> Iterator[Neighbours]:
        """All pairs of a query and a digest of the index within the limit, in batches of bounded size.

        Pairs come in no order; a query that is in the index too is its own neighbour, at distance 0.
        Queries with one header share their stretches of the index, so that many queries cost
        little more than many different headers.
        """
        cell = queries.cell
        order = np.argsort(cell, kind="stable")
        cells, counts = np.unique(cell, return_counts=True)
        ends = np.cumsum(counts)
        pending: list[Neighbours] = []
        size = 0
        for header, count, end in zip(cells.tolist(), counts.tolist(), ends.tolist(), strict=True):
            for found in self._near_cell(header, queries, order[end - count : end]):
                pending.append(found)
                size += len(found.query)
                if size >= _BATCH_PAIRS:
                    yield _concatenate(pending)
                    pending, size = [], 0
        if pending:
            yield _concatenate(pending)

    def _near_cell(self, header: int, queries: Digests, chosen: Indices) -> Iterator[Neighbours]:
        left0, left1 = queries.middle[0, chosen, None], queries.middle[1, chosen, None]
        right0, right1 = self._digests.middle
        for low, high, budget in self._stretches(header):
            step = max(1, _BLOCK_PAIRS // len(chosen))
            for start in range(low, high, step):
                stop = min(high, start + step)
                bits = np.bitwise_count(left0 ^ right0[start:stop])
                bits += np.bitwise_count(left1 ^ right1[start:stop])
                maybe = np.flatnonzero(bits <= budget)
                if not len(maybe):
                    continue
                if len(maybe) > bits.size // 8:
                    # Where most pairs are near, looking each of them up costs more than all.
                    whole = queries.take((chosen, None))
                    distance = distances(whole, self._digests.take(slice(start, stop))).ravel()
                    pair = np.flatnonzero(distance <= self.limit)
                    distance = distance[pair]
                else:
                    query, row = np.divmod(maybe, stop - start)
                    distance = distances(
                        queries.take(chosen[query]), self._digests.take(row + start)
                    )
                    near = distance <= self.limit
                    pair, distance = maybe[near], distance[near]
                query, row = np.divmod(pair, stop - start)
                if len(pair):
                    yield Neighbours(
                        chosen[query], self._order[row + start], distance.astype(np.int64)
                    )

    def _stretches(self, header: int) -> Iterator[tuple[int, int, int]]:
        """Ranges of sorted rows that a header can reach, and what the body may cost there."""
        length, ratio1, ratio2 = header >> 8, (header >> 4) & 15, header & 15
        for length_step, ratio1_step, width, cost in self._reach:
            first = (((length + length_step) & 255) << 8) | (((ratio1 + ratio1_step) & 15) << 4)
            low, high = ratio2 - width, ratio2 + width + 1
            # The second ratio goes round: 15 is one step from 0.
            pieces = (
                [(0, 16)]
                if high - low >= 16
                else [(max(low, 0), min(high, 16)), (low % 16, 16) if low < 0 else (0, high - 16)]
            )
            for piece_low, piece_high in pieces:
                if piece_low < piece_high:
                    start = int(self._starts[first + piece_low])
                    stop = int(self._starts[first + piece_high])
                    if start < stop:
                        yield start, stop, self.limit - cost


def _reach(limit: int) -> Iterator[tuple[int, int, int, int]]:
    """Steps of length and first ratio within a limit, how far the second may go, and their cost."""
    for length_step in range(256):
        for ratio1_step in range(16):
            cost = int(LENGTH_COST[length_step] + RATIO_COST[ratio1_step])
            if cost <= limit:
                width = int(np.flatnonzero(RATIO_COST[:9] <= limit - cost).max())
                yield length_step, ratio1_step, width, cost


def _concatenate(pieces: list[Neighbours]) -> Neighbours:
    return Neighbours(*(np.concatenate(column) for column in zip(*pieces, strict=True)))
