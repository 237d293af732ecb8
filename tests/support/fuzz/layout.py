"""Where the parts of an executable are, so that a mutation can aim at one."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeAlias

Place: TypeAlias = tuple[int, int]
"""Offset and length in bytes."""


@dataclass(frozen=True)
class PeLayout:
    """Offsets into a PE file; those of a damaged one may point anywhere."""

    coff: int
    optional: int
    optional_size: int
    directories: int
    section_table: int
    sections: list[tuple[int, int, int, int]]
    """VirtualSize, VirtualAddress, SizeOfRawData and PointerToRawData of each."""

    def offset(self, rva: int) -> int:
        for virtual_size, address, size, pointer in self.sections:
            if address <= rva < address + max(virtual_size, size):
                return rva - address + pointer
        return rva


def pe_layout(data: bytes | bytearray) -> PeLayout | None:
    """The layout of what looks like a PE file; None for anything else."""
    if data[:2] != b"MZ" or len(data) < 64:
        return None
    (start,) = struct.unpack_from("<I", data, 60)
    if data[start : start + 4] != b"PE\0\0" or start + 26 > len(data):
        return None
    (count,) = struct.unpack_from("<H", data, start + 6)
    size, _, magic = struct.unpack_from("<HHH", data, start + 20)
    optional = start + 24
    table = optional + size
    sections = [
        struct.unpack_from("<4I", data, entry + 8)
        for entry in range(table, min(table + 40 * count, len(data) - 39), 40)
    ]
    directories = optional + (112 if magic == 0x20B else 96)
    return PeLayout(start + 4, optional, size, directories, table, sections)


def directory(data: bytes | bytearray, layout: PeLayout, index: int) -> Place | None:
    """Where the bytes of a data directory are; None if it has none."""
    entry = layout.directories + 8 * index
    if entry + 8 > len(data):
        return None
    rva, size = struct.unpack_from("<II", data, entry)
    # The certificate table is given by its offset.
    start = rva if index == 4 else layout.offset(rva)
    return (start, size) if rva and start < len(data) else None
