"""A version resource of a PE file: what pefile warns of in it."""

from __future__ import annotations

import struct

from corpus.features.ember_v3.pe.extents import Extent
from corpus.features.ember_v3.pe.sections import AddressMap, OutOfFileError
from corpus.features.ember_v3.pe.unusual import UnusualError

_HEADER = struct.Struct("<HHH")  # Length, ValueLength, Type: each block begins with it
_FIXED_SIZE = 52  # VS_FIXEDFILEINFO
_KEY = b"VS_VERSION_INFO"
# A longer key is cut short in the warning.
_MAX_KEY = 128
# No structure begins farther on: lengths of blocks are below 2^16, and a key has at most 2^16 units,
# each of which is taken for twice as many bytes as it has in UTF-8: 12, escaped.
_MAX_SIZE = 1 << 20
# pefile's sums of an offset and an address wrap around at 2^32.
_HIGHEST = 0xF0000000


def version_information(address_map: AddressMap, rva: int, size: int) -> set[str]:
    """The warnings of `parse_version_information`, as lines of format_warnings. Raises UnusualError."""
    try:
        start = address_map.offset(rva)
    except OutOfFileError:
        return {
            "Error parsing the version information, attempting to read OffsetToData with RVA..."
        }
    if rva > _HIGHEST:
        raise UnusualError("version information at the end of the address space")
    reader = _Reader(address_map, rva, address_map.data[start : start + min(size, _MAX_SIZE)])
    reader.read()
    return reader.warnings


class _Reader:
    """Offsets are into `raw`, the bytes that lie one behind another in the file from `rva` on.

    Only structures are read from those; strings are looked up by their RVA. A structure that does
    not fit is a warning and the end of the list it is in.
    """

    def __init__(self, address_map: AddressMap, rva: int, raw: bytes) -> None:
        self.extent = Extent(address_map, rva)
        self.rva = rva
        self.raw = raw
        self.warnings: set[str] = set()

    def read(self) -> None:
        header = self._header(0)
        if header is None:
            return
        key = self._key()
        if key != _KEY:
            # The warning ends with the key, so what it is taken for depends on that.
            escaped = key.decode("utf-8").encode("ascii", "backslashreplace")
            shown = "..." if len(escaped) > _MAX_KEY else escaped.decode("ascii")
            self.warnings.add(f"Invalid VS_VERSION_INFO block: {shown}")
            return
        fixed = self._align(_HEADER.size + 2 * (len(key) + 1))
        if fixed + _FIXED_SIZE > len(self.raw):
            self.warnings.add("Corrupt header...")
            return
        offset = self._align(fixed + _FIXED_SIZE)
        while True:
            info = self._header(offset)
            if info is None:
                self.warnings.add("Error parsing StringFileInfo/VarFileInfo struct...")
                return
            length, value_length, kind = info
            name = self._text(offset, "StringFileInfo string...")
            if name is None:
                return
            if kind in (0, 1) and value_length == 0:
                inner = self._align(offset + _HEADER.size + 2 * (len(name) + 1))
                if name.startswith(b"StringFileInfo"):
                    self._string_tables(inner, length)
                elif name.startswith(b"VarFileInfo") and self._header(inner) is not None:
                    # Only the first Var is ever read.
                    self._text(inner, "VarFileInfo Var string...")
            offset = self._align(offset + length)
            if length == 0 or offset >= header[0]:
                return

    def _key(self) -> bytes:
        rva = self.rva + _HEADER.size
        try:
            key = self.extent.text(rva)
        except OutOfFileError:
            key = b""
        # pefile looks for the end as far as the section goes. What is found in the extent with
        # its zero is the same for any such limit.
        if not self.extent.holds(rva, 2 * (len(key) + 1)):
            raise UnusualError("key of version information without an end")
        return key

    def _string_tables(self, offset: int, end: int) -> None:
        # `end` is the length of the list, though compared with offsets into all of `raw`.
        while True:
            table = self._header(offset)
            if table is None:
                return
            length = table[0]
            language = self._text(offset, "StringTable string...")
            if language is None:
                return
            self._strings(
                self._align(offset + _HEADER.size + 2 * (len(language) + 1)), offset + length
            )
            following = self._align(offset + length)
            if following == offset or following >= end:
                return
            offset = following

    def _strings(self, offset: int, end: int) -> None:
        while offset < end:
            string = self._header(offset)
            if string is None:
                return
            length, value_length, _ = string
            key = self._text(offset, "StringTable Key string...")
            if key is None:
                return
            value = self.rva + self._align(offset + _HEADER.size + 2 * (len(key) + 1))
            if not self.extent.holds(value, max(2 * value_length, 1)):
                try:
                    self.extent.units(value, value_length)
                    self.extent.address_map.offset(value)
                except OutOfFileError:
                    # The definition has another text, so that it drops this one.
                    self.warnings.add(
                        "Error parsing the version information, "
                        "attempting to read StringTable Value string..."
                    )
                    return
            offset = self._align(offset + length) if length else end

    def _align(self, offset: int) -> int:
        """The next offset whose address is a multiple of four, as `dword_align` counts it."""
        return ((offset + self.rva + 3) & ~3) - (self.rva & ~3)

    def _header(self, offset: int) -> tuple[int, int, int] | None:
        if offset + _HEADER.size > len(self.raw):
            self.warnings.add("Corrupt header...")
            return None
        header: tuple[int, int, int] = _HEADER.unpack_from(self.raw, offset)
        return header

    def _text(self, offset: int, what: str) -> bytes | None:
        """The string behind the structure at an offset, in UTF-8."""
        try:
            return self.extent.text(self.rva + offset + _HEADER.size)
        except OutOfFileError:
            self.warnings.add(f"Error parsing the version information, attempting to read {what}")
            return None
