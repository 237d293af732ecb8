"""Where the addresses of a PE file lie in its bytes, by pefile's rules (2024.8.26)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import numpy as np

from corpus.features.ember_v3.kernels.compiled import byte_array


class OutOfFileError(Exception):
    """No byte of the file stands for an RVA; pefile raises PEFormatError if this is raised."""

    def __init__(self, rva: int) -> None:
        super().__init__(f"nothing in the file stands for RVA 0x{rva:x}")


class AddressMap:
    """The sections of a PE file, asked as pefile asks them.

    `spans` has four numbers for each section in pefile's order (by VirtualAddress, stable):
      start    its first RVA, `section_min_addr` of pefile
      stop     one past its last RVA, `section_max_addr`
      raw      where `start` lies in the file, `get_PointerToRawData_adj()`
      raw_end  where its bytes end in the file, PointerToRawData + SizeOfRawData, neither adjusted
    `header_length` is the length of pefile's `header`.

    Sections may overlap, and of two that hold an RVA pefile takes the one it took last, or else the
    first. `last` is the row it took last (-1: none); whatever looks up an RVA writes it back, and
    so the same questions have to be asked in the same order as pefile asks them.
    """

    def __init__(
        self,
        data: bytes,
        spans: Sequence[tuple[int, int, int, int]],
        header_length: int,
        last: int = -1,
    ) -> None:
        self.data = data
        self.header_length = header_length
        self.last = last
        self._rows = spans
        # The first section at an RVA is the same from one bound of any section to the next, so it
        # is found by bisection whether or not sections overlap. owners[i] is for the RVAs before
        # bounds[i].
        bounds = sorted({bound for row in self._rows for bound in row[:2]})
        owners = [-1] * (len(bounds) + 1)
        for section in range(len(self._rows) - 1, -1, -1):
            first = bisect_left(bounds, self._rows[section][0]) + 1
            after = bisect_left(bounds, self._rows[section][1]) + 1
            owners[first:after] = [section] * (after - first)
        self._bounds = bounds
        self._owners = owners
        # For the kernels of kernels/directory_kernels.py, in the order of their arguments.
        self.arrays = (
            byte_array(data),
            np.array(spans, np.int64).reshape(-1, 4),
            np.array(bounds, np.int64),
            np.array(owners, np.int64),
            header_length,
        )

    def section(self, rva: int) -> int:
        """The row of the section that holds an RVA, or -1: `get_section_by_rva`."""
        last = self.last
        if last >= 0:
            row = self._rows[last]
            if row[0] <= rva < row[1]:
                return last
        section = self._owners[bisect_right(self._bounds, rva)]
        if section >= 0:
            self.last = section
        return section

    def offset(self, rva: int) -> int:
        """The file offset of an RVA, which may lie past the file: `get_offset_from_rva`.

        Raises OutOfFileError if neither a section nor the file itself has the RVA.
        """
        section = self.section(rva)
        if section >= 0:
            start, _, raw, _ = self._rows[section]
            return rva - start + raw
        if rva < len(self.data):
            return rva
        raise OutOfFileError(rva)

    def read(self, rva: int, length: int) -> bytes:
        """Up to `length` bytes from an RVA, fewer where its section's data end: `get_data`.

        Raises OutOfFileError if neither a section nor the file itself has the RVA.
        """
        section = self.section(rva)
        if section >= 0:
            start, _, raw, raw_end = self._rows[section]
            offset = rva - start + raw
            # A negative length makes a negative end, which counts from the end of the file.
            return self.data[offset : min(offset + length, raw_end)]
        if rva < self.header_length:
            stop = rva + length
            if 0 <= rva <= stop:
                return self.data[rva : min(stop, self.header_length)]
            return self.data[: self.header_length][rva:stop]
        if rva < len(self.data):
            return self.data[rva : rva + length]
        raise OutOfFileError(rva)

    def string(self, rva: int, max_length: int) -> bytes:
        """The bytes from an RVA up to the first zero, `max_length` at most: `get_string_at_rva`.

        Empty if the file has none.
        """
        section = self.section(rva)
        if section >= 0:
            start, _, raw, raw_end = self._rows[section]
            begin = rva - start + raw
            end = min(begin + max_length, raw_end)
        else:
            begin, end = rva, rva + max_length
        zero = self.data.find(b"\0", begin, end)
        return self.data[begin : zero if zero >= 0 else end]

    def strings(self, rvas: Iterable[int], max_length: int, skip: int = 0) -> list[bytes]:
        """What `string` gives `skip` bytes behind each RVA, all of it within a section.

        Raises OutOfFileError for an RVA in no section, or whose section ends within the bytes skipped.
        """
        found = []
        data, find = self.data, self.data.find
        start = stop = shift = raw_end = 0
        for rva in rvas:
            if not start <= rva < stop - skip:
                section = self.section(rva)
                if section < 0 or rva + skip >= self._rows[section][1]:
                    raise OutOfFileError(rva)
                start, stop, raw, raw_end = self._rows[section]
                shift = raw - start + skip
            begin = rva + shift
            end = begin + max_length
            if end > raw_end:
                end = raw_end
            zero = find(b"\0", begin, end)
            found.append(data[begin : end if zero < 0 else zero])
        return found
