"""Resources, debug information, TLS, load configuration and bound imports: as pefile, or Unusual."""

from __future__ import annotations

import random
import struct
from collections import Counter

import pytest

from corpus.features.ember_v3.pe.unusual import UnusualError
from tests.support.executables import real_pes
from tests.support.pe.built import (
    BOUND_IMPORT,
    DEBUG,
    LOAD_CONFIG,
    RESOURCE,
    SECTION,
    TLS,
    answer,
    built,
    expected,
    load,
    mutated,
    pe_file,
)

NAMES = {
    RESOURCE: "resources", DEBUG: "debug", TLS: "tls", LOAD_CONFIG: "load_config",
    BOUND_IMPORT: "bound_imports",
}  # fmt: skip
TABLE, DATA = 0x80000000, 0


def both(data: bytes, index: int) -> tuple[object, object]:
    return answer(load(data), index), expected(load(data), index)


def has_directory(data: bytes, index: int) -> bool:
    directories = load(data).OPTIONAL_HEADER.DATA_DIRECTORY
    return len(directories) > index and bool(directories[index].VirtualAddress)


@pytest.mark.parametrize("path", real_pes(), ids=lambda path: path.name)
@pytest.mark.parametrize("index", NAMES, ids=NAMES.get)
def test_real_files_are_read_as_pefile_reads_them_and_none_is_unusual(path, index):
    data = path.read_bytes()
    if has_directory(data, index):
        ours, theirs = both(data, index)
        assert ours == theirs


# How many kinds of outcome there are at least, so that the files made here are known to vary.
@pytest.mark.parametrize(
    ("index", "outcomes"),
    [(RESOURCE, 30), (DEBUG, 3), (TLS, 3), (LOAD_CONFIG, 12), (BOUND_IMPORT, 3)],
    ids=NAMES.values(),
)
def test_damaged_files_are_read_as_pefile_reads_them_or_are_unusual(index, outcomes):
    seen: Counter[object] = Counter()
    unusual = 0
    for seed in range(1_500):
        rng = random.Random(f"{index} {seed}")
        data, start, stop = built(rng, index)
        if rng.random() < 0.5:
            data = mutated(rng, data, start, stop)
        theirs = expected(load(data), index)
        try:
            ours = answer(load(data), index)
        except UnusualError:
            unusual += 1
            continue
        assert ours == theirs, (index, seed)
        seen[frozenset(ours[0]), ours[1]] += 1
    assert len(seen) >= outcomes
    assert unusual < 200


def test_bytes_of_a_real_program_s_resources_may_be_anything():
    program = next(path for path in real_pes() if path.name == "w64.exe").read_bytes()
    pe = load(program)
    start = pe.get_offset_from_rva(pe.OPTIONAL_HEADER.DATA_DIRECTORY[RESOURCE].VirtualAddress)
    seen: Counter[object] = Counter()
    for seed in range(500):
        data = mutated(random.Random(seed), program, start, start + 400)
        theirs = expected(load(data), RESOURCE)
        try:
            assert answer(load(data), RESOURCE) == theirs, seed
        except UnusualError:
            continue
        seen[frozenset(theirs[0])] += 1
    assert len(seen) > 4


def table(*entries: tuple[int, int], names: int = 0) -> bytes:
    packed = b"".join(struct.pack("<II", *entry) for entry in entries)
    return struct.pack("<12xHH", names, len(entries) - names) + packed


def resource_warnings(content: bytes) -> set[str]:
    ours, theirs = both(pe_file(content, RESOURCE, SECTION, len(content)), RESOURCE)
    assert ours == theirs
    return ours[0]


@pytest.mark.parametrize(("depth", "nested"), [(32, False), (33, True)])
def test_tables_in_tables_in_tables(depth, nested):
    tables = b"".join(table((1, TABLE | 24 * (level + 1))) for level in range(depth))
    warning = "Error parsing the resources directory. Excessively nested table depth..."
    assert (warning in resource_warnings(tables + table())) == nested


def test_a_table_inside_itself_is_left_out():
    assert resource_warnings(table((1, TABLE | 0))) == set()


@pytest.mark.parametrize(("count", "too_many"), [(4096, False), (4097, True)])
def test_a_table_of_many_entries(count, too_many):
    warning = "Error parsing the resources directory. The directory contains..."
    entries = table(*[(1, TABLE | 0)] * count)
    assert resource_warnings(entries) == ({warning} if too_many else set())


def test_tables_of_many_entries():
    outer = table(*[(1, TABLE | 96)] * 10)
    outer += table(*[(1, 96 + 16 + 8 * 4000)] * 4000) + bytes(16)
    warning = "Error parsing the resources directory. The file contains at least..."
    assert resource_warnings(outer) == {warning}


@pytest.mark.parametrize(("extra", "overlap"), [(0, False), (1, True)])
def test_resources_larger_than_the_file(extra, overlap):
    data = struct.pack("<IIII", SECTION, 0x400 + 512 + extra, 0, 0)
    content = table((1, 32), (2, 32)) + data
    assert resource_warnings(content) == ({"Resource size..."} if overlap else set())


@pytest.mark.parametrize(("second", "overlap"), [(101, True), (104, True), (105, False)])
def test_names_inside_the_name_before(second, overlap):
    names = bytearray(
        table((TABLE | 100, DATA | 64), (TABLE | second, 64), names=2).ljust(512, b"\0")
    )
    names[100:102] = struct.pack("<H", 4)
    warning = (
        "Error parsing the resources directory, attempting to read entry name. "
        "Entry names overlap..."
    )
    assert (warning in resource_warnings(bytes(names))) == overlap


@pytest.mark.parametrize(("address", "found"), [(SECTION, True), (0x9000, False)])
def test_strings_have_to_be_somewhere(address, found):
    content = table((6, TABLE | 24)) + table((7, TABLE | 48)) + table((1033, 72))
    content += struct.pack("<IIII", address, 10, 0, 0)
    warning = "Error parsing resource of type RT_STRING at..."
    assert resource_warnings(content) == (set() if found else {warning})


def test_overlapping_sections_are_unusual():
    data = bytearray(pe_file(table(), RESOURCE, SECTION, 16, virtual_size=0x100))
    pe = load(bytes(data))
    header = pe.sections[0].get_file_offset()
    start = pe.FILE_HEADER.get_file_offset() + 2
    data[start : start + 2] = b"\2\0"
    data[header + 40 : header + 80] = data[header : header + 40]
    with pytest.raises(UnusualError):
        answer(load(bytes(data)), RESOURCE)


def test_a_debug_entry_that_pefile_fails_at_is_unusual():
    entry = struct.pack("<12xIIII", 20, 3, 0, 0)
    data = pe_file(entry, DEBUG, SECTION, len(entry))
    assert expected(load(data), DEBUG) == "AttributeError"
    with pytest.raises(UnusualError):
        answer(load(data), DEBUG)
