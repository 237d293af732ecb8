"""Base relocations: the same warnings as pefile's, and found if it finds any."""

from __future__ import annotations

import random
import struct
from collections import Counter

import pefile
import pytest

from corpus.features.ember_v3.pe.relocations import relocations
from corpus.features.ember_v3.pefile_compat.bounded_pe import address_map
from tests.support.executables import real_pes
from tests.support.pe.sectioned import HEADERS, last, new_kinds, pe_of, random_pe

pytestmark = pytest.mark.fast

OVERLAP = "Overlapping offsets in relocation data..."
CORRUPT = "Corrupt header..."
UNREADABLE = "Invalid relocation information. Can't read..."


def assert_same(
    pe: pefile.PE, rva: int, size: int, symbol: int | None = None
) -> tuple[bool, set[str]]:
    """Read a list of blocks by both, and return what they found."""
    addresses = address_map(pe)
    blocks: list[object] = []
    entry_format = pe.dynamic_relocation_format_by_symbol.get(symbol)
    warnings = new_kinds(
        pe,
        lambda: blocks.extend(pe.parse_image_base_relocation_list(rva, size, entry_format)),
    )
    found = relocations(addresses, rva, size, pe.OPTIONAL_HEADER.SizeOfImage, symbol)
    assert (found.found, found.warnings) == (bool(blocks), warnings)
    assert addresses.last == last(pe)
    return found.found, warnings


def block(address: int, *entries: int, size: int | None = None) -> bytes:
    length = 8 + 2 * len(entries) if size is None else size
    return struct.pack("<II", address, length) + struct.pack(f"<{len(entries)}H", *entries)


def mapped(content: bytes, **of: int) -> pefile.PE:
    return pe_of([(0x1000, len(content), HEADERS, len(content))], content, **of)


@pytest.mark.parametrize("path", real_pes(), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_relocations_of_real_files(path):
    pe = pefile.PE(data=path.read_bytes(), fast_load=True)
    directory = pe.OPTIONAL_HEADER.DATA_DIRECTORY[5]
    found, warnings = assert_same(pe, directory.VirtualAddress, directory.Size)
    assert found == (directory.Size > 0)
    assert not warnings


@pytest.mark.parametrize(
    ("content", "symbol", "expected"),
    [
        (block(0x1000, 0x3004, 0x3008, 0), None, set()),
        (block(0x1000, 0x3004, 0x3004), None, {OVERLAP}),
        (block(0x1000, 0x3004) + block(0x2000, 0x3004), None, set()),
        (block(0x1000, 0x3004, 0xA004), None, set()),
        (block(0x1000, 0x3004, 0xA004), 4, {OVERLAP}),
        (block(0x1000, 0x3004, 0xA004), 5, {OVERLAP}),
        (block(0x1000, 0x3004, 0xA004), 3, set()),
        (block(0x1000, 0x3004, 0, 0xA004, 0), 3, {OVERLAP}),
        (block(0x1000, 0x3004, 0xA004), 6, set()),
        (block(0x1000, 0x3004, size=0), None, set()),
        (block(0x1000, 0x3004, size=9), None, {CORRUPT}),
    ],
)
def test_entries(content, symbol, expected):
    assert assert_same(mapped(content), 0x1000, len(content), symbol) == (True, expected)


@pytest.mark.parametrize(
    ("content", "found", "expected"),
    [
        (b"", False, UNREADABLE),
        (bytes(7), False, CORRUPT),
        (block(0x10001), False, "Invalid relocation information. VirtualAddress outside..."),
        (block(0, size=0x10001), False, "Invalid relocation information. SizeOfBlock too large..."),
        (block(0), True, UNREADABLE),
        (block(0) + bytes(7), True, CORRUPT),
    ],
)
def test_where_blocks_end(content, found, expected):
    outcome = assert_same(mapped(content), 0x1000, 0x2000)
    assert outcome[0] == found
    assert expected in outcome[1]


def test_entries_of_no_section_or_file():
    assert assert_same(mapped(block(0)), 0x1000, 8) == (True, {"Bad RVA in relocation data..."})


def test_a_block_smaller_than_its_header_may_have_the_whole_file():
    # The header is in the file alone, and what would be entries begin a section at offset 0: their
    # end is before the file's begin, and so counts from the file's end.
    content = bytes(0x1000 - 8 - HEADERS) + block(0, size=2) + bytes(range(256)) * 16
    pe = pe_of([(0x1000, 0x1000, 1, 0x1000)], content)
    assert assert_same(pe, 0x1000 - 8, 1) == (True, {OVERLAP})


def test_small_blocks_of_a_directory_of_4_gib_end_with_the_data():
    pe = mapped(struct.pack("<I", 4) * 3000)
    warnings = {CORRUPT, "Bad RVA in relocation data..."}
    assert assert_same(pe, 0x1000, 0xFFFFFFFF) == (True, warnings)


def random_blocks(rng: random.Random) -> bytes:
    content = b""
    for _ in range(rng.randrange(1, 8)):
        entries = rng.sample(range(0x3000, 0x4000), rng.randrange(12))
        if rng.random() < 0.1:
            entries += entries[:1]
        size = 8 + 2 * len(entries)
        if rng.random() < 0.1:
            size = rng.choice((0, 1, 4, 7, 8, 9, size - 1, size + 1, 2 * size, 0x10001, 0xFFFFFFFF))
        address = rng.choice((0x1000, 0x2000, 0x2000, 0x3000))
        if rng.random() < 0.02:
            address = rng.choice((0x10001, 0xFFFFFFFF))
        content += block(address, *entries, size=size)
    return content


def test_blocks_at_random_are_as_pefile_reads_them():
    rng = random.Random(7)
    seen: Counter[str] = Counter()
    for _ in range(1500):
        content = random_blocks(rng)
        pe = random_pe(rng, content)
        rva = 0x1000 + rng.choice((0, 0, 0, 0, -8, -4, 8, len(content) - 8, -0x1000 + HEADERS))
        size = len(content) + rng.choice((0, 0, 0, 1, -1, 8, 0x1000, 0xFFFF0000))
        found, warnings = assert_same(pe, rva, size, rng.choice((None, None, 3, 4, 5)))
        seen.update(warnings, found=found)
    assert len(seen) == 7
    assert min(seen.values()) > 15
