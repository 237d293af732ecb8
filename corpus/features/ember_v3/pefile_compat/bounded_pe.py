"""pefile's PE, with bounds on the memory it takes, whatever a file says of itself.

Read otherwise than by pefile is what it keeps an object for each of (relocations, runtime functions)
or copies of the file for (the tables of exports, strings among the resources, version information,
debug information). What comes of it is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pefile

from corpus.features.ember_v3.pe.debug import debug
from corpus.features.ember_v3.pe.exceptions import runtime_functions
from corpus.features.ember_v3.pe.relocations import relocations
from corpus.features.ember_v3.pe.sections import AddressMap
from corpus.features.ember_v3.pe.unusual import UnusualError

__all__ = ["BoundedPE", "address_map", "address_ranges"]

# What is read of resources themselves is structures of at most so many bytes, and strings.
_STRUCTURE = 16
_SMALL = 4096
# All lengths inside version information are of 16 bits, so that none of its parts lies beyond.
_VERSION = 1 << 20


class BoundedPE(pefile.PE):  # type: ignore[misc]
    """A PE file as pefile reads it. `kinds` are warnings that `get_warnings` does not have."""

    __data__: Any
    header: Any
    _get_section_by_rva_last_used: Any

    def __init__(self, data: bytes) -> None:
        self.kinds: set[str] = set()
        self._directory = ""
        # Counting each byte's share, the only other thing a full load does first, is done elsewhere.
        super().__init__(data=data, fast_load=True)
        self.full_load()

    def close(self) -> None:
        """Let go of the file and of all that was read, which refers to this object.

        pefile has all garbage of the process collected instead, a tenth of a second or more.
        """
        self.__dict__.clear()

    def parse_image_base_relocation_list(
        self, rva: int, size: int, fmt: Any = None
    ) -> list[None] | None:
        symbol = None
        if fmt is not None:
            formats = self.dynamic_relocation_format_by_symbol
            symbol = next(number for number, known in formats.items() if known is fmt)
        with self._addresses() as addresses:
            found = relocations(addresses, rva, size, self.OPTIONAL_HEADER.SizeOfImage, symbol)
        self.kinds |= found.warnings
        return [None] if found.found else []

    def parse_exceptions_directory(self, rva: int, size: int) -> None:
        with self._addresses() as addresses:
            self.kinds |= runtime_functions(addresses, rva, size, self.FILE_HEADER.Machine)

    def parse_debug_directory(self, rva: int, size: int) -> None:
        with self._addresses() as addresses:
            try:
                self.kinds |= debug(addresses, rva, size)
            except UnusualError as error:
                # What pefile fails with there.
                raise AttributeError(str(error)) from error

    def parse_export_directory(self, *arguments: Any, **options: Any) -> Any:
        with self._reading("exports"):
            return super().parse_export_directory(*arguments, **options)

    def parse_resources_directory(self, *arguments: Any, **options: Any) -> Any:
        with self._reading("resources"):
            return super().parse_resources_directory(*arguments, **options)

    def parse_version_information(self, version_struct: Any) -> None:
        size = version_struct.Size
        version_struct.Size = min(size, _VERSION)
        with self._reading(""):
            super().parse_version_information(version_struct)
        version_struct.Size = size

    def get_string_u_at_rva(self, *arguments: Any, **options: Any) -> Any:
        with self._reading(""):
            return super().get_string_u_at_rva(*arguments, **options)

    def get_data(self, rva: int = 0, length: int | None = None) -> Any:
        if self._directory == "exports" and length is not None and length > _SMALL:
            # A table, as long as the file at worst, of which numbers are read.
            data, header = self.__data__, self.header
            self.__data__, self.header = memoryview(data), memoryview(header)
            try:
                return super().get_data(rva, length)
            finally:
                self.__data__, self.header = data, header
        if self._directory == "resources" and length is not None and length > _STRUCTURE:
            # Strings, of which it matters only whether they are anywhere.
            return super().get_data(rva, 0)
        return super().get_data(rva, length)

    @contextmanager
    def _reading(self, directory: str) -> Iterator[None]:
        before, self._directory = self._directory, directory
        try:
            yield
        finally:
            self._directory = before

    @contextmanager
    def _addresses(self) -> Iterator[AddressMap]:
        """An address map of the file; what it used last is what pefile has used last, afterwards."""
        addresses = address_map(self)
        yield addresses
        if addresses.last >= 0:
            self._get_section_by_rva_last_used = self.sections[addresses.last]


def address_map(pe: pefile.PE) -> AddressMap:
    """Where the addresses of a file lie, the section that pefile took last among it."""
    spans = [
        (start, stop, s.get_PointerToRawData_adj(), s.PointerToRawData + s.SizeOfRawData)
        for s, (start, stop) in zip(pe.sections, address_ranges(pe), strict=True)
    ]
    last = pe._get_section_by_rva_last_used
    row = next((i for i, section in enumerate(pe.sections) if section is last), -1)
    return AddressMap(pe.__data__, spans, len(pe.header), row)


def address_ranges(pe: pefile.PE) -> list[tuple[int, int]]:
    """First address, and first beyond, of each section."""
    ranges = []
    for section in pe.sections:
        # Asked for any address, it works out its own.
        section.contains_rva(0)
        ranges.append((section.section_min_addr, section.section_max_addr))
    return ranges
