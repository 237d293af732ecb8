"""Runtime functions: the same warnings as pefile's, and found if it finds any."""

from __future__ import annotations

import random
import struct
from collections import Counter

import numpy as np
import pefile
import pytest

from corpus.features.ember_v3.kernels import directory_kernels
from corpus.features.ember_v3.pe.exceptions import runtime_functions
from corpus.features.ember_v3.pefile_compat.bounded_pe import address_map
from tests.support.executables import real_pes
from tests.support.pe.sectioned import HEADERS, last, new_kinds, pe_of, random_pe

pytestmark = pytest.mark.fast

NO_FUNCTION = "FunctionEntry of UNWIND_INFO at..."
CHAINED_AGAIN = "Failed parsing FunctionEntry of UNWIND_INFO at..."
FAILED = "Failed to process directory..."
CORRUPT = "Corrupt header..."
VERSION = "Unsupported version of UNWIND_INFO..."
CODE = "Unknown UNWIND_CODE at..."

UNWIND = 0x1200


def assert_same(pe: pefile.PE, rva: int, size: int) -> tuple[bool, set[str]]:
    """Read a directory by both; returns whether pefile found a function, and the warnings of both."""
    addresses = address_map(pe)
    directory = pe.OPTIONAL_HEADER.DATA_DIRECTORY[3]
    directory.VirtualAddress, directory.Size = rva, size
    warnings = new_kinds(pe, lambda: pe.parse_data_directories(directories=[3]))
    found = runtime_functions(addresses, rva, size, pe.FILE_HEADER.Machine)
    assert found == warnings
    assert addresses.last == last(pe)
    return hasattr(pe, "DIRECTORY_ENTRY_EXCEPTION"), warnings


def function(begin: int, unwind: int) -> bytes:
    return struct.pack("<III", begin, begin + 16, unwind)


def unwind(*codes: int, flags: int = 0, version: int = 1, count: int | None = None) -> bytes:
    """Unwind data of codes that are given as operation and information, two bytes each."""
    header = bytes([version | flags << 3, 0, len(codes) if count is None else count, 0])
    return header + b"".join(bytes([0, code]) for code in codes)


def mapped(functions: bytes, data: bytes, machine: int = 0x8664) -> pefile.PE:
    """Functions at 0x1000, and their unwind data, which the file ends with, at UNWIND."""
    content = functions.ljust(UNWIND - 0x1000, b"\0") + data
    return pe_of([(0x1000, len(content), HEADERS, len(content))], content, machine=machine)


@pytest.mark.parametrize("path", real_pes(), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_functions_of_real_files(path):
    pe = pefile.PE(data=path.read_bytes(), fast_load=True)
    directory = pe.OPTIONAL_HEADER.DATA_DIRECTORY[3]
    found, _ = assert_same(pe, directory.VirtualAddress, directory.Size)
    assert found == (pe.FILE_HEADER.Machine == 0x8664)


@pytest.mark.parametrize(("machine", "found"), [(0x8664, True), (0x200, True), (0x14C, False)])
def test_machines(machine, found):
    assert assert_same(mapped(function(1, UNWIND), unwind(), machine), 0x1000, 12)[0] == found


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (unwind(), set()),
        (unwind(version=3), {VERSION}),
        (unwind(version=2), set()),
        (unwind()[:3], {FAILED}),
        # Data that are too short to be read are no mistake, nor looked at.
        (unwind(version=3, count=1), set()),
        (unwind(flags=1, version=3), set()),
        (unwind(flags=8) + bytes(4), set()),
        # Every operation, with the codes it takes.
        (unwind(0x10, 0x32, 0x03, 0x0A), set()),
        (unwind(0x01, 0, 0x04, 0, 0x08, 0), set()),
        (unwind(0x11, 0, 0, 0x05, 0, 0, 0x09, 0, 0), set()),
        (unwind(0x10, 0x07), {CODE}),
        (unwind(0x01, 0x0B, 0x0F, 0), {CODE}),
        (unwind(0x01, 0x0B), set()),
        # The first epilog takes two codes if its flag is not set, others take one.
        (unwind(0x16, 0x07), {CODE}),
        (unwind(0x06, 0x07), set()),
        (unwind(0x06, 0x07, 0x06, 0x07), {CODE}),
        # The last operation needs more codes than there are.
        (unwind(0x09, 0, count=1), {FAILED}),
        (unwind(0x09, 0, 0, count=1), {FAILED}),
        (unwind(0x09, 0, count=1, flags=1) + bytes(4), set()),
        (unwind(*[0] * 253, 0x01, 0) + bytes(2), set()),
        (unwind(*[0] * 254, 0x07) + bytes(2), {CODE}),
    ],
)
def test_unwind_data(data, expected):
    found, warnings = assert_same(mapped(function(1, UNWIND), data), 0x1000, 12)
    assert warnings == expected
    assert found == (not expected)


@pytest.mark.parametrize(
    ("begins", "chained", "expected"),
    [
        ([1], 1, set()),
        ([1], 2, {NO_FUNCTION}),
        ([9, 1], 9, {CHAINED_AGAIN}),
        ([9, 1, 4], 3, {NO_FUNCTION}),
    ],
)
def test_chained_functions(begins, chained, expected):
    functions = b"".join(function(begin, UNWIND) for begin in begins)
    data = unwind(flags=4) + struct.pack("<I", chained)
    assert assert_same(mapped(functions, data), 0x1000, len(functions)) == (True, expected)


def test_a_directory_of_4_gib_ends_with_the_data():
    functions = function(1, 1) * 1000
    assert assert_same(mapped(b"", functions), UNWIND, 0xFFFFFFFF) == (False, {FAILED})
    assert assert_same(mapped(b"", functions + b"x"), UNWIND, 0xFFFFFFFF) == (True, {CORRUPT})


def test_unwind_data_that_another_section_has_more_of():
    # From 0x2000 to 0x2100 there are two sections. The second function is the last of the first
    # section, which has 16 of the 20 bytes of the unwind data, the third is in the other section,
    # which has them all. The data begin where the first function has an odd address of its own.
    functions = (
        function(1, int.from_bytes(unwind(flags=4, count=6), "little"))
        + struct.pack("<III", 0, 0, 0x20F8)
        + function(5, 0x20F8)
    )
    content = bytes(0x10F0) + functions + bytes(0x100)
    sections = [(0x1000, 0x2000, HEADERS, 0x1108), (0x2100, 0x1000, HEADERS + 0x1000, 0x1F0)]
    pe = pe_of(sections, content)
    assert assert_same(pe, 0x20F0, 24) == (True, set())
    pe = pe_of(sections, content)
    assert assert_same(pe, 0x20F0, 36) == (True, {CHAINED_AGAIN})


def test_what_is_known_of_unwind_data_outlives_a_larger_table():
    # Each of the unwind data is used twice, and every other is chained to a function that exists.
    rng = np.random.default_rng(3)
    count = 70_000
    data = np.zeros((count, 8), np.uint8)
    data[:, 0] = np.where(np.arange(count) % 2, 1, 1 | 4 << 3)
    data[::2, 4:] = np.arange(0, count, 2, dtype="<u4").view(np.uint8).reshape(-1, 4)
    functions = np.zeros((2 * count, 3), "<u4")
    functions[:, 0] = np.arange(2 * count)
    functions[:, 2] = 0x1000 + 24 * count + 8 * np.tile(rng.permutation(count), 2)
    content = functions.tobytes() + data.tobytes()
    pe = pe_of([(0x1000, len(content), HEADERS, len(content))], content)
    addresses = address_map(pe)
    found = runtime_functions(addresses, 0x1000, functions.nbytes, 0x8664)
    assert found == {CHAINED_AGAIN}
    assert runtime_functions(addresses, 0x1000, 12 * count, 0x8664) == set()
    places = 1 << (4 * count).bit_length()
    table = np.empty(places, np.uint32), np.zeros(places, np.int16), np.empty(places, np.uint32)
    begins = np.empty(2 * count, np.uint32)
    read, ended, _ = directory_kernels.walk_functions(*addresses.arrays, -1, 0x1000, begins, *table)
    assert (read, ended) == (2 * count, 0)
    assert (begins == np.arange(2 * count)).all()
    assert Counter(table[1].tolist()) == {
        0: places - count, 1: count // 2, directory_kernels.CHAINED_AGAIN: count // 2
    }  # fmt: skip


def random_unwind(rng: random.Random, begins: list[int]) -> bytes:
    codes = [rng.choice((0, 2, 0x12, 1, 0x11, 4, 5, 8, 9, 10, 3)) for _ in range(rng.randrange(5))]
    codes = [part for code in codes for part in (code, *(0,) * rng.randrange(3))]
    if rng.random() < 0.2:
        codes[:0] = [rng.choice((0x06, 0x16))] * rng.randrange(1, 3)
    if rng.random() < 0.02:
        codes.append(rng.choice((7, 15)))
    flags = rng.choice((0, 0, 1, 2, 4, 4, 5, 8))
    version = rng.choice((1,) * 60 + (2, 0))
    count = len(codes) if rng.random() < 0.96 else rng.choice((1, 2, 60))
    data = unwind(*codes, flags=flags, version=version, count=count)
    chained = rng.choice((*begins, *begins, *begins, 3))
    return data + bytes(len(data) % 4) + struct.pack("<I", chained)


def random_directory(rng: random.Random) -> tuple[bytes, int]:
    """Functions, their unwind data behind them, and how many bytes the functions are."""
    count = rng.randrange(1, 10)
    begins = [16 * rng.randrange(1, 40) for _ in range(count)]
    data = b""
    places = []
    for _ in range(rng.randrange(1, count + 1)):
        places.append(0x1000 + 12 * count + len(data))
        data += random_unwind(rng, begins)
    functions = b""
    for begin in begins:
        place = rng.choice(places)
        if rng.random() < 0.04:
            place = rng.choice((place + 1, place + 2, 0, 0x2000, 0xFFFFFFF0, 0x1000))
        functions += function(begin, place)
    return functions + data, len(functions)


def test_directories_at_random_are_as_pefile_reads_them():
    rng = random.Random(11)
    seen: Counter[str] = Counter()
    for _ in range(2000):
        content, size = random_directory(rng)
        rva = 0x1000 + rng.choice((0, 0, 0, 0, 0, 12, -12, -0x1000 + HEADERS))
        size += rng.choice((0, 0, 0, 1, -1, 12, 0x1000, 0xFFFF0000))
        found, warnings = assert_same(random_pe(rng, content), rva, size)
        seen.update(warnings, found=found)
    assert len(seen) == 7
    assert min(seen.values()) > 15
