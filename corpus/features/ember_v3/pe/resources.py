"""The resource directory of a PE file: what pefile warns of in it."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from corpus.features.ember_v3.pe.extents import Extent
from corpus.features.ember_v3.pe.sections import AddressMap, OutOfFileError
from corpus.features.ember_v3.pe.version_info import version_information

# pefile's limits: tables inside tables, entries of a table, entries of all tables.
_MAX_DEPTH = 32
_MAX_TABLE = 4096
_MAX_ENTRIES = 0x8000
_RT_STRING, _RT_VERSION = 6, 16
_HIGH = 0x80000000

_TABLE_SIZE = 16
_COUNTS = struct.Struct("<HH")  # of entries with a name and with a number
_ENTRY = struct.Struct("<II")  # Name, OffsetToData
_DATA = struct.Struct("<IIII")  # OffsetToData, Size, CodePage, Reserved

_Data = tuple[int, int]
_Entry = tuple[int | None, "list[_Entry] | None", _Data | None]
"""Number (None: it has a name), and either a table or the RVA and size of data."""


def resources(address_map: AddressMap, rva: int, size: int) -> set[str]:
    """The warnings of `parse_resources_directory`, as lines of format_warnings.

    `size` is of no consequence in pefile either: tables lie wherever they say. Raises UnusualError.
    """
    reader = _Reader(address_map, rva)
    reader.table(rva, (rva,))
    return reader.warnings


class _Reader:
    def __init__(self, address_map: AddressMap, rva: int) -> None:
        self.address_map = address_map
        self.extent = Extent(address_map, rva)
        self.base = rva
        self.warnings: set[str] = set()
        self.entries = 0
        # Bytes of all data and characters of all names. Where that is more than the file has,
        # they overlap.
        self.size = 0

    def table(self, rva: int, path: tuple[int, ...]) -> list[_Entry] | None:
        """The entries of the table at an RVA, where pefile takes it for one.

        `path` is the RVAs of the tables around it and its own.
        """
        count = self._count(rva, len(path) - 1)
        if count is None:
            return None
        table: list[_Entry] = []
        names: list[tuple[int, int]] = []
        for name, target in self._entries(rva + _TABLE_SIZE, count):
            number = None if name & _HIGH else name
            if number is None and not self._name(self.base + (name & ~_HIGH), names):
                break
            address = self.base + (target & ~_HIGH)
            if target & _HIGH:
                if address in path:
                    break
                inner = self.table(address, (*path, address))
                if inner is None:
                    break
                if number == _RT_STRING:
                    self._check_strings(inner)
                table.append((number, inner, None))
            else:
                data = self._data(address)
                if data is None:
                    break
                self.size += data[1]
                table.append((number, None, data))
            # The number of a name, too: the low half of where the name lies.
            if len(path) == 1 and name & 0xFFFF == _RT_VERSION:
                self._check_versions(table[-1])
        for begin, length in names:
            self._check_name(begin, length)
        return table

    def _count(self, rva: int, depth: int) -> int | None:
        """How many entries the table at an RVA has; None, and a warning, if pefile gives it up."""
        if depth > _MAX_DEPTH:
            self.warnings.add(
                "Error parsing the resources directory. Excessively nested table depth..."
            )
            return None
        try:
            header = self.extent.read(rva, _TABLE_SIZE)
        except OutOfFileError:
            self.warnings.add("Invalid resources directory. Can't read...")
            return None
        if len(header) < _TABLE_SIZE:
            self.warnings |= {
                "Corrupt header...",
                "Invalid resources directory. Can't parse directory data at RVA...",
            }
            return None
        count: int = sum(_COUNTS.unpack_from(header, 12))
        if count > _MAX_TABLE:
            self.warnings.add("Error parsing the resources directory. The directory contains...")
            return None
        self.entries += count
        if self.entries > _MAX_ENTRIES:
            self.warnings.add(
                "Error parsing the resources directory. The file contains at least..."
            )
            return None
        return count

    def _entries(self, rva: int, count: int) -> Iterator[tuple[int, int]]:
        """Name and OffsetToData of each entry that can be read, up to the first that can't."""
        # Asked for one by one: an entry is checked only once those before it are done with.
        for entry in range(rva, rva + count * _ENTRY.size, _ENTRY.size):
            if self.size > len(self.address_map.data):
                self.warnings.add("Resource size...")
            try:
                raw = self.extent.read(entry, _ENTRY.size)
                if len(raw) < _ENTRY.size:
                    self.warnings.add("Corrupt header...")
            except OutOfFileError:
                raw = b""
            if len(raw) < _ENTRY.size:
                # With a comma that the definition does not have.
                self.warnings.add("Error parsing the resources directory, Entry...")
                return
            yield _ENTRY.unpack(raw)

    def _name(self, rva: int, names: list[tuple[int, int]]) -> bool:
        """Take a name, RVA and length, into `names`; False if it begins inside the one before."""
        try:
            word = self.extent.read(rva, 2)
        except OutOfFileError:
            word = b""
        length = int.from_bytes(word, "little") if len(word) == 2 else 0
        self.size += length
        # Characters are counted as bytes here.
        if names and names[-1][0] < rva <= sum(names[-1]):
            names.pop()
            self.warnings.add(
                "Error parsing the resources directory, attempting to read entry name. "
                "Entry names overlap..."
            )
            return False
        names.append((rva, length))
        return True

    def _check_name(self, rva: int, length: int) -> None:
        if self.extent.holds(rva + 2, 2 * length):
            return
        try:
            self.extent.units(rva + 2, length)
        except OutOfFileError:
            self.warnings.add("Failed rendering pascal string, attempting to read from RVA 0x...")

    def _data(self, rva: int) -> _Data | None:
        try:
            raw = self.extent.read(rva, _DATA.size)
        except OutOfFileError:
            self.warnings.add("Error parsing a resource directory data entry...")
            return None
        if len(raw) < _DATA.size:
            self.warnings.add("Corrupt header...")
            return None
        address, size, _, _ = _DATA.unpack(raw)
        return address, size

    def _check_strings(self, blocks: list[_Entry]) -> None:
        """The strings themselves never give a warning, but have to be somewhere."""
        for number, languages, _ in blocks:
            for _, _, data in languages or ():
                if data is not None and number is not None:
                    try:
                        self.address_map.offset(data[0])
                    except OutOfFileError:
                        self.warnings.add("Error parsing resource of type RT_STRING at...")

    def _check_versions(self, versions: _Entry) -> None:
        """Of the versions by number, pefile reads the first, in all its languages."""
        numbers = versions[1]
        languages = numbers[0][1] if numbers else None
        for _, _, data in languages or ():
            if data is not None:
                self.warnings |= version_information(self.address_map, *data)
