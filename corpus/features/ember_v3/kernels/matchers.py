"""The kernel that finds the strings of a file, and the patterns in each of them.

A string here is data[start:stop], as long a run as can be of five or more bytes from 0x20 to 0x7f;
a pattern never looks beyond its ends.
"""

from __future__ import annotations

import enum
import string

import numpy as np
from numpy.typing import NDArray

from corpus.features.ember_v3.kernels.compiled import BYTES, address, compiled, part, types

__all__ = ["Matcher", "scan_strings"]

Bytes = NDArray[np.uint8]


class Matcher(enum.IntEnum):
    """A pattern that is no literal; below is the definition of each.

    The numbers are here because the kernel has them in its machine code, which numba does not make
    anew when another module changes.
    """

    IPV4 = 1
    IPV6 = 2
    MAC = 3
    EMAIL = 4
    BTC_WALLET = 5


_WORD, _DIGIT, _HEX, _LETTER, _BTC, _LOCAL, _DOMAIN = (1 << bit for bit in range(7))


def _kinds() -> NDArray[np.uint8]:
    """Per byte, which classes of characters it is in."""
    kinds = np.zeros(256, np.uint8)
    alphanumeric = string.ascii_letters + string.digits
    for kind, characters in (
        (_WORD, alphanumeric + "_"),
        (_DIGIT, string.digits),
        (_HEX, string.hexdigits),
        (_LETTER, string.ascii_letters),
        (_BTC, "".join(sorted(set(alphanumeric) - set("0OIl")))),
        (_LOCAL, alphanumeric + "._%+-"),
        (_DOMAIN, alphanumeric + ".-"),
    ):
        kinds[list(characters.encode("ascii"))] |= kind
    return kinds


_KINDS = _kinds()
_IPV4, _IPV6, _MAC, _EMAIL = map(int, (Matcher.IPV4, Matcher.IPV6, Matcher.MAC, Matcher.EMAIL))
_DOT, _COLON, _DASH = b".:-"


@part
def _is(data: Bytes, i: int, start: int, stop: int, kind: int) -> bool:
    return start <= i < stop and _KINDS[data[i]] & kind != 0


@part
def _octet(data: Bytes, i: int, stop: int) -> int:
    """Length of the digits from i on, if they are a number from 0 to 255 of 1 to 3 digits; else 0."""
    length = 0
    value = 0
    while i + length < stop and _KINDS[data[i + length]] & _DIGIT and length < 4:
        value = value * 10 + data[i + length] - 48
        length += 1
    return length if length < 4 and value < 256 else 0


@part
def _ipv4(data: Bytes, dot: int, start: int, stop: int) -> bool:
    r"""Four octets with dots between them, `dot` the first, and a \b at both ends."""
    i = dot - 1
    while _is(data, i, start, stop, _DIGIT) and dot - i < 5:
        i -= 1
    if _is(data, i, start, stop, _WORD):
        return False
    i += 1
    for _ in range(3):
        length = _octet(data, i, stop)
        i += length
        if not length or i >= stop or data[i] != _DOT:
            return False
        i += 1
    length = _octet(data, i, stop)
    return length > 0 and not _is(data, i + length, start, stop, _WORD)


@part
def _hex_digits(data: Bytes, i: int, stop: int) -> int:
    """How many hexadecimal digits stand from i on; 5 for more than four."""
    length = 0
    while i + length < stop and length < 5 and _KINDS[data[i + length]] & _HEX:
        length += 1
    return length


@part
def _ipv6(data: Bytes, colon: int, start: int, stop: int) -> bool:
    r"""The definition's three alternatives, which two cover (h is one to four hexadecimal digits):

    \b(h:){1,7}:\b  holds where its last group does: \bh::\b
    \b:h(:h){1,6}\b  holds where its first group does: \b:h:h\b
    \b(h:){7}h\b  has the second one inside
    """
    if colon + 2 < stop and data[colon + 1] == _COLON and _KINDS[data[colon + 2]] & _WORD:
        i = colon - 1
        while _is(data, i, start, stop, _HEX) and colon - i < 6:
            i -= 1
        if 1 <= colon - 1 - i <= 4 and not _is(data, i, start, stop, _WORD):
            return True
    if not _is(data, colon - 1, start, stop, _WORD):
        return False
    i = colon + 1
    length = _hex_digits(data, i, stop)
    i += length
    if not 1 <= length <= 4 or i >= stop or data[i] != _COLON:
        return False
    length = _hex_digits(data, i + 1, stop)
    return 1 <= length <= 4 and not _is(data, i + 1 + length, start, stop, _WORD)


@part
def _mac(data: Bytes, separator: int, start: int, stop: int) -> bool:
    r"""Six pairs of hexadecimal digits, `separator` (: or -) behind the first; a \b at both ends."""
    first = separator - 2
    if first < start or first + 17 > stop:
        return False
    for i in range(17):
        byte = data[first + i]
        if i % 3 == 2:
            if byte != _COLON and byte != _DASH:
                return False
        elif not _KINDS[byte] & _HEX:
            return False
    return not _is(data, first - 1, start, stop, _WORD) and not _is(
        data, first + 17, start, stop, _WORD
    )


@part
def _email(data: Bytes, at: int, start: int, stop: int) -> bool:
    """[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\\.[A-Za-z]{2,}"""
    if not _is(data, at - 1, start, stop, _LOCAL):
        return False
    i = at + 1
    while _is(data, i, start, stop, _DOMAIN):
        if (
            data[i] == _DOT
            and i > at + 1
            and _is(data, i + 1, start, stop, _LETTER)
            and _is(data, i + 2, start, stop, _LETTER)
        ):
            return True
        i += 1
    return False


@part
def _btc_wallet(data: Bytes, start: int, stop: int) -> bool:
    """[13][a-km-zA-HJ-NP-Z1-9]{25,34} anywhere in the string."""
    i = start
    while i + 26 <= stop:
        # Backwards: what is not in the class rules out all places before it.
        j = i + 25
        while j >= i and _KINDS[data[j]] & _BTC:
            j -= 1
        if j >= i:
            i = j + 1
            continue
        end = i + 26
        while end < stop and _KINDS[data[end]] & _BTC:
            end += 1
        for j in range(i, end - 25):
            if data[j] == 49 or data[j] == 51:
                return True
        i = end + 1
    return False


@part
def _holds(
    data: Bytes,
    end: int,
    start: int,
    stop: int,
    checks: NDArray[np.int32],
    row: int,
    texts: Bytes,
    sets: Bytes,
) -> bool:
    """Whether the pattern of a check is found, whose literal (or anchor) ends before `end`."""
    if checks[row + 1] == _IPV4:
        return _ipv4(data, end - 1, start, stop)
    if checks[row + 1] == _IPV6:
        return _ipv6(data, end - 1, start, stop)
    if checks[row + 1] == _MAC:
        return _mac(data, end - 1, start, stop)
    if checks[row + 1] == _EMAIL:
        return _email(data, end - 1, start, stop)
    first = end - checks[row + 2]
    if checks[row + 3] >= 0:
        for i in range(checks[row + 2]):
            if data[first + i] != texts[checks[row + 3] + i]:
                return False
    if checks[row + 4] & 2:
        while end < stop and data[end] == data[end - 1]:
            end += 1
    if checks[row + 6] >= 0 and (end >= stop or not sets[checks[row + 6] * 256 + data[end]]):
        return False
    if checks[row + 5] >= 0:
        first -= 1
        if first < start or not sets[checks[row + 5] * 256 + data[first]]:
            return False
    return not checks[row + 4] & 1 or (
        _is(data, first - 1, start, stop, _WORD) != _is(data, first, start, stop, _WORD)
    )


@compiled(
    types.int64(
        BYTES,
        types.Array(types.uint8, 1, "C"),
        types.Array(types.uint32, 1, "C"),
        types.uint32,
        types.uint32,
        types.Array(types.uint32, 1, "C"),
        types.Array(types.int32, 2, "C"),
        BYTES,
        types.Array(types.uint8, 2, "C"),
        types.int64,
        types.Array(types.int64, 1, "C"),
        types.Array(types.int64, 1, "C"),
    )
)
def scan_strings(
    data: Bytes,
    classes: NDArray[np.uint8],
    next_states: NDArray[np.uint32],
    width: int,
    first_hit: int,
    hits: NDArray[np.uint32],
    checks: NDArray[np.int32],
    texts: NDArray[np.uint8],
    sets: NDArray[np.uint8],
    btc_column: int,
    histogram: NDArray[np.int64],
    found: NDArray[np.int64],
) -> int:
    """How many strings there are; `PatternTable.search` has the rest."""
    size = len(data)
    strings = 0
    # The number of the last string in which a column's pattern was found: it counts once in each.
    found_in = np.zeros(len(found), np.int64)
    at, checks_at, texts_at, sets_at = address(data), address(checks), address(texts), address(sets)
    i = 0
    while i + 5 <= size:
        # Here a string can begin, and none is open: one that does within 5 bytes has the fifth.
        if not 0x20 <= data[i + 4] < 0x80:
            i += 5
            continue
        start = i + 4
        while start > i and 0x20 <= data[start - 1] < 0x80:
            start -= 1
        stop = i + 5
        while stop < size and 0x20 <= data[stop] < 0x80:
            stop += 1
        i = stop + 1
        if stop - start < 5:
            continue
        strings += 1
        state = np.uint32(0)
        for j in range(start, stop):
            byte = data[j]
            histogram[byte] += 1
            state = next_states[state + classes[byte]]
            if state >= first_hit:
                row = state // width
                for number in range(hits[row], hits[row + 1]):
                    column = checks[number, 0]
                    if found_in[column] != strings and _holds(
                        at, j + 1, start, stop, checks_at, 7 * number, texts_at, sets_at
                    ):
                        found_in[column] = strings
                        found[column] += 1
        if btc_column >= 0 and stop - start >= 26 and _btc_wallet(at, start, stop):
            found[btc_column] += 1
    return strings
