"""RVAs are looked up as pefile looks them up."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pefile
import pytest

from corpus.features.ember_v3.pe.sections import AddressMap, OutOfFileError
from corpus.features.ember_v3.pefile_compat.bounded_pe import address_map
from tests.support.executables import launcher
from tests.support.pe.sectioned import HEADERS, last, pe_of, random_pe

pytestmark = pytest.mark.fast

OUT = "out of the file"


def outcome(read: Callable[..., Any], *arguments: int) -> Any:
    try:
        return read(*arguments)
    except (pefile.PEFormatError, OutOfFileError):
        return OUT


def section_of(pe: pefile.PE, rva: int) -> int:
    found = pe.get_section_by_rva(rva)
    return next((i for i, section in enumerate(pe.sections) if section is found), -1)


def assert_same(pe: pefile.PE, rva: int, length: int) -> bool:
    """Ask both all there is to ask, in the same order. Returns whether the RVA is in the file."""
    addresses = address_map(pe)
    assert addresses.section(rva) == section_of(pe, rva)
    assert outcome(addresses.offset, rva) == outcome(pe.get_offset_from_rva, rva)
    assert outcome(addresses.read, rva, length) == outcome(pe.get_data, rva, length)
    assert addresses.string(rva, length) == pe.get_string_at_rva(rva, length)
    assert addresses.last == last(pe)
    return outcome(addresses.offset, rva) != OUT


def test_addresses_at_random_are_as_pefile_has_them() -> None:
    rng = random.Random(5)
    inside = overlaps = 0
    for _ in range(150):
        pe = random_pe(rng, rng.randbytes(rng.choice((64, 0x600, 0x1800))))
        addresses = address_map(pe)
        spans = addresses.arrays[1]
        overlaps += bool((spans[:-1, 1] > spans[1:, 0]).any())
        marks = [*spans[:, :2].ravel().tolist(), 0, addresses.header_length, len(pe.__data__)]
        for _ in range(40):
            rva = max(0, rng.choice(marks) + rng.randrange(-20, 20))
            length = rng.choice((0, 1, 4, 12, 300, 0x2000, -1, -8, 1 << 33))
            inside += assert_same(pe, rva, length)
    assert overlaps > 20
    assert 3000 < inside < 5900


def test_addresses_of_a_launcher_are_as_pefile_has_them() -> None:
    pe = pefile.PE(data=launcher(), fast_load=True)
    assert all(assert_same(pe, rva, 64) for rva in range(0, 0x16000, 0x333))


def test_of_two_sections_the_one_taken_last_has_the_address() -> None:
    # The first ends where the second's unaligned address is, 0x100 after its aligned one.
    pe = pe_of([(0x1000, 0x2000, HEADERS, 0x200), (0x2100, 0x1000, HEADERS, 0x200)], bytes(0x200))
    addresses = address_map(pe)
    assert addresses.section(0x2080) == 0
    assert addresses.section(0x2180) == 1
    assert addresses.section(0x2080) == 1
    assert addresses.offset(0x2080) == HEADERS + 0x80


def test_a_file_without_sections_is_its_own_memory() -> None:
    addresses = AddressMap(b"abc\0def", [], 3)
    assert addresses.section(1) == -1
    assert addresses.read(1, 9) == b"bc"
    assert addresses.read(3, 2) == b"\0d"
    assert addresses.string(1, 9) == b"bc"
    assert addresses.string(9, 9) == b""
    assert addresses.offset(6) == 6
    with pytest.raises(OutOfFileError, match="0x7"):
        addresses.offset(7)
    with pytest.raises(OutOfFileError, match="0x7"):
        addresses.read(7, 1)
