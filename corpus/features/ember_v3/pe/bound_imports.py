"""The bound imports of a PE file: what pefile warns of in them."""

from __future__ import annotations

import string
import struct
from collections.abc import Sequence

from corpus.features.ember_v3.pe.sections import AddressMap, OutOfFileError

_ENTRY = struct.Struct("<4xHH")  # OffsetModuleName, and the count of forwarders behind the entry
_SIZE = _ENTRY.size
_MAX_NAME = 256
_PRINTABLE = string.printable.encode()


def bound_imports(
    address_map: AddressMap, rva: int, sections: Sequence[tuple[int, int]]
) -> set[str]:
    """The warnings of `parse_directory_bound_imports`, as lines of format_warnings.

    `sections` is PointerToRawData and SizeOfRawData of each section, in pefile's order. As pefile
    does, this takes `rva` for an offset in the file, since the directory lies in the headers, and
    yet looks it up among the sections, too.
    """
    try:
        return _warnings(address_map, rva, sections)
    except OutOfFileError:
        return {"Failed to process directory..."}


def _warnings(address_map: AddressMap, start: int, sections: Sequence[tuple[int, int]]) -> set[str]:
    data = address_map.data
    file_ranges = [
        (row[2], pointer, size)
        for row, (pointer, size) in zip(address_map.arrays[1].tolist(), sections, strict=True)
    ]
    position = start
    while True:
        entry = data[position : position + _SIZE]
        if len(entry) < _SIZE:
            return {
                "Corrupt header...",
                "The Bound Imports directory exists but can't be parsed...",
            }
        if not any(entry):
            return set()
        position += _SIZE
        room = _room(position, address_map.offset(position), file_ranges, len(data))
        if room is None:
            return {"RVA of IMAGE_BOUND_IMPORT_DESCRIPTOR points..."}
        name, forwarders = _ENTRY.unpack(entry)
        for _ in range(min(forwarders, int(room / _SIZE))):
            forwarder = data[position : position + _SIZE]
            if len(forwarder) < _SIZE:
                return {"Corrupt header...", "Failed to process directory..."}
            position += _SIZE
            if _name(data, start + _ENTRY.unpack(forwarder)[0]) is None:
                break
        if not _name(data, start + name):
            return set()


def _room(
    position: int, offset: int, file_ranges: list[tuple[int, int, int]], file_size: int
) -> int | None:
    """Bytes between `offset` and the end of its section, or the next section; None if neither is."""
    inside = _section(position, file_ranges)
    if inside is not None:
        begin, pointer, size = inside
        return pointer + max(0, min(begin + size, file_size) - begin) - offset
    later = [pointer for _, pointer, _ in file_ranges if pointer > offset]
    following = _section(min(later), file_ranges) if later else None
    return None if following is None else following[1] - offset


def _section(position: int, file_ranges: list[tuple[int, int, int]]) -> tuple[int, int, int] | None:
    return next((row for row in file_ranges if row[0] <= position < row[0] + row[2]), None)


def _name(data: bytes, offset: int) -> bytes | None:
    """The name at an offset, or None for what no library is called."""
    name = data[offset : offset + _MAX_NAME + 1].split(b"\0", 1)[0]
    return None if len(name) > _MAX_NAME or name.strip(_PRINTABLE) else name
