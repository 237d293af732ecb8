"""PE files of any sections, overlapping ones too, and pefile's own answers about their RVAs."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import pefile

from corpus.features.ember_v3.pefile_compat.format_warnings import kinds

HEADERS = 0x400

Section = tuple[int, int, int, int]
"""VirtualAddress, VirtualSize, PointerToRawData, SizeOfRawData."""


def pe_of(
    sections: list[Section],
    content: bytes,
    *,
    machine: int = 0x8664,
    alignments: tuple[int, int] = (0x1000, 0x200),
    size_of_image: int = 0x10000,
) -> pefile.PE:
    """A file with `content` from HEADERS on, loaded without directories (it has none)."""
    optional = struct.pack(
        "<HBBIIIIIQIIHHHHHHIIIIHHQQQQII",
        0x20B, 14, 1, 512, 0, 0, 0x1000, 0x1000, 0x140000000, *alignments, 6, 0, 1, 2, 6, 0, 0,
        size_of_image, HEADERS, 0, 3, 0x8160, 0x100000, 0x1000, 0x100000, 0x1000, 0, 16,
    )  # fmt: skip
    coff = struct.pack("<HHIIIHH", machine, len(sections), 0, 0, 0, len(optional) + 128, 0x22)
    start = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + coff + optional + bytes(128)
    for address, virtual_size, pointer, raw_size in sections:
        start += struct.pack(
            "<8sIIIIIIHHI", b".x", virtual_size, address, raw_size, pointer, 0, 0, 0, 0, 0x40000040
        )
    return pefile.PE(data=start.ljust(HEADERS, b"\0") + content, fast_load=True)


def random_pe(rng: random.Random, content: bytes) -> pefile.PE:
    """`content` mapped at 0x1000, at times cut, shifted or with other sections over it."""
    size = len(content)
    sections = [(0x1000, size, HEADERS, size)]
    for _ in range(rng.choice((0, 0, 1, 3))):
        address = rng.choice((0, 0x200, 0xFF8, 0x1000, 0x1100, 0x2000, 0x1000 + size // 2))
        pointer = rng.choice((0, 1, 8, HEADERS, HEADERS + 0x200, HEADERS + 0x210))
        sections.append((address, rng.randrange(size), pointer, rng.randrange(size)))
    if rng.random() < 0.3:
        # Sections that end, in memory or in the file, where something is read.
        sections[0] = (
            0x1000,
            rng.randrange(size),
            HEADERS,
            rng.choice((size, rng.randrange(size))),
        )
    return pe_of(
        sections,
        content[: rng.choice((size, size, rng.randrange(size)))],
        alignments=rng.choice(((0x1000, 0x200), (0x1000, 0x200), (0x200, 0x200), (0x10, 0x10))),
        size_of_image=rng.choice((0x10000, 0x10000, 0x2000, 0xFFFFFFFF)),
    )


def last(pe: pefile.PE) -> int:
    """The section that pefile took last, as AddressMap has it."""
    section = pe._get_section_by_rva_last_used
    return next((i for i, other in enumerate(pe.sections) if other is section), -1)


def new_kinds(pe: pefile.PE, read: Callable[[], None]) -> set[str]:
    """The kinds of warnings that pefile gives while it does something."""
    before = len(pe.get_warnings())
    read()
    return kinds(pe.get_warnings()[before:])
