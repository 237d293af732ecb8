"""Damage to the headers and the section table of a PE file."""

from __future__ import annotations

import random
import struct

from tests.support.fuzz.layout import PeLayout
from tests.support.fuzz.values import put_odd, put_odd_in

_COFF = ((0, 2), (2, 2), (4, 4), (8, 4), (12, 4), (16, 2), (18, 2))
_SECTION = ((8, 4), (12, 4), (16, 4), (20, 4), (24, 4), (28, 4), (32, 2), (34, 2), (36, 4))
_NAMES = (
    b"PAGE", b"INIT", b".text", b"", b".TEXT\0x", b"\xff\xfe", "ä".encode(), b"/4", b".rsrc\0\0\0",
    b"UPX0", b"        ", "İ".encode(), b"\xc3\x28",
)  # fmt: skip


def dos_header(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    put_odd(rng, data, rng.randrange(2, 58, 2), 2)


def header_offset(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    """The headers moved, or only said to be somewhere else."""
    start = layout.coff - 4
    if rng.random() < 0.4:
        put_odd(rng, data, 60, 4)
        return
    end = layout.section_table + 40 * len(layout.sections)
    target = rng.choice((4, 12, 60, 64, 65, 128, start + 8, len(data), len(data) - 300))
    moved = bytes(data[start:end])
    struct.pack_into("<I", data, 60, target)
    data[target : target + len(moved)] = moved


def between_headers(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    """The DOS stub and the Rich header."""
    end = layout.coff - 4
    for _ in range(rng.choice((1, 2, 8))):
        put_odd_in(rng, data, 64, max(4, end - 64))


def rich_header(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    mark = data.find(b"Rich", 64, layout.coff)
    if mark < 0:
        return
    kind = rng.randrange(4)
    if kind == 0:
        data[mark : mark + 4] = b"Ricj"
    elif kind == 1:
        put_odd(rng, data, mark + 4, 4)
    elif kind == 2:
        put_odd_in(rng, data, 128, mark - 128)
    else:
        key = struct.unpack_from("<I", data, mark + 4)[0]
        place = rng.randrange(128, mark - 3, 4) if mark > 132 else 64
        struct.pack_into("<I", data, place, key ^ rng.choice((0, 0x68636952, 0x536E6144)))


def coff_header(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    for _ in range(rng.choice((1, 1, 2))):
        field, width = rng.choice(_COFF)
        put_odd(rng, data, layout.coff + field, width)


def machine(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    struct.pack_into(
        "<H", data, layout.coff, rng.choice((0x14C, 0x8664, 0x200, 0xAA64, 0x1C4, 0, 0x5064))
    )


def section_count(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    count = rng.choice(
        (0, 1, len(layout.sections) + rng.randrange(-2, 3), 96, 97, 0x7FF, 0x800, 0xFFFF)
    )
    struct.pack_into("<H", data, layout.coff + 2, count & 0xFFFF)


def optional_size(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    size = rng.choice((0, 2, 28, 68, 95, 96, 111, 112, 0xDF, 0xE0, 0xE1, 0xF0, 0xF7, 0x400, 0xFFFF))
    struct.pack_into("<H", data, layout.coff + 16, size)


def optional_header(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    for _ in range(rng.choice((1, 1, 2, 4))):
        put_odd_in(rng, data, layout.optional, 112)


def magic(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    struct.pack_into("<H", data, layout.optional, rng.choice((0x10B, 0x20B, 0x107, 0, 0x30B)))


def alignments(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    choices = (0, 1, 4, 16, 0x200, 0x300, 0x400, 0x1000, 0x1001, 0x2000, 0x10000, 0x80000000)
    both = rng.choice(choices), rng.choice(choices)
    struct.pack_into("<II", data, layout.optional + 32, *both)


def entry_point(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    choices = [0, len(data), len(data) - 1, 0xFFFFFFFF, rng.randrange(0x100000)]
    choices += [section[1] + rng.choice((-1, 0, section[0])) for section in layout.sections]
    struct.pack_into("<I", data, layout.optional + 16, rng.choice(choices) & 0xFFFFFFFF)


def directory_count(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    count = rng.choice((*range(21), 0x10000, 0x80000000, 0x80000010, 0xFFFFFFFF))
    struct.pack_into("<I", data, layout.directories - 4, count)


def section_fields(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    for _ in range(rng.choice((1, 1, 2, 5))):
        field, width = rng.choice(_SECTION)
        entry = layout.section_table + 40 * rng.randrange(max(1, len(layout.sections)))
        put_odd(rng, data, entry + field, width)


def section_bytes(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    for _ in range(rng.choice((1, 4))):
        put_odd_in(rng, data, layout.section_table, 40 * max(1, len(layout.sections)))


def section_name(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    entry = layout.section_table + 40 * rng.randrange(max(1, len(layout.sections)))
    if entry + 8 <= len(data):
        data[entry : entry + 8] = rng.choice(_NAMES)[:8].ljust(8, b"\0")


def section_flags(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    for entry in range(layout.section_table, layout.section_table + 40 * len(layout.sections), 40):
        if rng.random() < 0.5 and entry + 40 <= len(data):
            flags = rng.choice((0, 0xE0000020, 0x60000020, 0x80000000, rng.getrandbits(32)))
            struct.pack_into("<I", data, entry + 36, flags)


def sections_exchanged(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    """Two sections in the other order, or one twice, or one where another is."""
    if len(layout.sections) < 2:
        return
    first, second = (
        layout.section_table + 40 * n for n in rng.sample(range(len(layout.sections)), 2)
    )
    kind = rng.randrange(4)
    if kind == 0:
        data[first : first + 40], data[second : second + 40] = (
            data[second : second + 40],
            data[first : first + 40],
        )
    elif kind == 1:
        data[first : first + 40] = data[second : second + 40]
    elif kind == 2:
        shift = rng.choice((0, -1, 1, -0x200, 0x200, 0x800))
        address = struct.unpack_from("<I", data, second + 12)[0] + shift
        struct.pack_into("<I", data, first + 12, address & 0xFFFFFFFF)
    else:
        data[first + 16 : first + 24] = data[second + 16 : second + 24]


def section_zeroed(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    entry = layout.section_table + 40 * rng.randrange(max(1, len(layout.sections)))
    data[entry : entry + 40] = bytes(len(data[entry : entry + 40]))


MUTATIONS = (
    dos_header, header_offset, between_headers, rich_header, coff_header, machine, section_count,
    optional_size, optional_header, magic, alignments, entry_point, directory_count,
    section_fields, section_bytes, section_name, section_flags, sections_exchanged, section_zeroed,
)  # fmt: skip
