"""A run of bytes that are read without a look-up of the section of each address."""

from __future__ import annotations

import struct

from corpus.features.ember_v3.pe.sections import AddressMap
from corpus.features.ember_v3.pe.unusual import UnusualError

# What get_string_u_at_rva reads first, in bytes, to look for the end of a string.
_FIRST_LOOK = 256
_MAX_TEXT = 1 << 16


class Extent:
    """What one section has in the file from an RVA on; what lies elsewhere is looked up as usual.

    `start` is the file offset of `rva`; `length`, in bytes, is 0 if no section has the RVA.
    Raises UnusualError if sections overlap: which of them pefile reads from then depends on all the
    look-ups before, and an extent leaves most of them out.
    """

    def __init__(self, address_map: AddressMap, rva: int) -> None:
        rows: list[list[int]] = address_map.arrays[1].tolist()
        stop = 0
        for row in sorted(row for row in rows if row[0] < row[1]):
            if row[0] < stop:
                raise UnusualError("overlapping sections")
            stop = row[1]
        self.address_map = address_map
        self.data = address_map.data
        self.rva = rva
        self.start = 0
        self.length = 0
        section = address_map.section(rva)
        if section >= 0:
            first, stop, raw, raw_end = rows[section]
            self.start = rva - first + raw
            self.length = max(0, min(stop - rva, min(raw_end, len(self.data)) - self.start))

    def holds(self, rva: int, length: int) -> bool:
        return self.rva <= rva and rva + length <= self.rva + self.length

    def read(self, rva: int, length: int) -> bytes:
        """As AddressMap.read."""
        begin = rva - self.rva
        if begin >= 0 and begin + length <= self.length:
            begin += self.start
            return self.data[begin : begin + length]
        return self.address_map.read(rva, length)

    def text(self, rva: int, max_length: int = _MAX_TEXT) -> bytes:
        """The string at an RVA in UTF-8, as `get_string_u_at_rva` has it. Raises OutOfFileError.

        Each half of a surrogate pair is six bytes, \\ud800.
        """
        return _utf8(self.units(rva, max_length))

    def units(self, rva: int, max_length: int = _MAX_TEXT) -> bytes:
        """Up to `max_length` units of UTF-16 from an RVA to the first zero. Raises OutOfFileError."""
        if not max_length:
            return b""
        wanted = 2 * max_length
        begin = rva - self.rva
        available = self.length - begin
        if begin >= 0 and available > 0:
            begin += self.start
            units = _until_zero(self.data, begin, begin + min(wanted, available))
            # Without a zero there may be more of the string elsewhere.
            if wanted <= available or len(units) < available - 1:
                return units
        data = self.address_map.read(rva, min(wanted, _FIRST_LOOK))
        units = _until_zero(data, 0, len(data))
        if len(units) == _FIRST_LOOK < wanted:
            data += self.address_map.read(rva + _FIRST_LOOK, wanted - _FIRST_LOOK)
            units = _until_zero(data, 0, len(data))
        return units


def _until_zero(data: bytes, begin: int, end: int) -> bytes:
    """The whole units of two bytes from `begin` to the first that is zero."""
    zero = data.find(b"\0\0", begin, end)
    while zero >= 0 and (zero - begin) & 1:
        zero = data.find(b"\0\0", zero + 1, end)
    return data[begin : zero if zero >= 0 else end - ((end - begin) & 1)]


def _utf8(units: bytes) -> bytes:
    low = units[::2]
    if low.isascii() and units[1::2].count(0) == len(low):
        return low
    characters = map(chr, struct.unpack(f"<{len(low)}H", units))
    return "".join(characters).encode("utf-8", "backslashreplace")
