"""Both ways to read a PE file's structure: our own readers, and pefile."""

from __future__ import annotations

import gc
import random
import struct
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pefile
import pytest

from corpus.features.ember_v3.bounded_pe import BoundedPE
from corpus.features.ember_v3.content import Content
from corpus.features.ember_v3.format_warnings import kinds
from corpus.features.ember_v3.image import read_image
from corpus.features.ember_v3.pefile_path import read_image_by_pefile
from corpus.features.ember_v3.unusual import Unusual
from tests.features.ember_v3.built import (
    DEBUG,
    LOAD_CONFIG,
    RESOURCE,
    SECTION,
    pe_file,
    version_resource,
)
from tests.features.executables import real_pes, small_pe
from tests.fuzz.cases import base_files, case
from tests.fuzz.checks import check, differences
from tests.fuzz.layout import pe_layout
from tests.fuzz.mutations import mutated
from tests.fuzz.pe_mutations import EXPORT, MUTATIONS

SMALL = sorted({path.read_bytes() for path in real_pes() if path.stat().st_size < 20_000})


def both(data: bytes) -> list[str]:
    """What the readers disagree on. Raises Unusual."""
    entropy = Content(data).entropy_of
    fast = read_image(data, entropy)
    return differences(fast, read_image_by_pefile(data, entropy))


@pytest.mark.parametrize("path", real_pes(), ids=lambda path: path.name)
def test_real_files_are_read_alike_and_none_is_unusual(path: Path) -> None:
    assert both(path.read_bytes()) == []


def test_the_smallest_file_is_read_alike() -> None:
    assert both(small_pe()) == []


@pytest.mark.parametrize("kind", MUTATIONS)
def test_damage_is_read_alike_or_unusual(kind: str) -> None:
    for seed in range(12):
        data = mutated(SMALL[seed % len(SMALL)], f"{seed}:{kind}")
        try:
            assert both(data) == [], seed
        except Unusual:
            continue


def test_damage_of_all_kinds_together_is_read_alike_or_unusual() -> None:
    bases = [path for path in base_files([]) if path.stat().st_size < 20_000]
    outcomes: Counter[str] = Counter()
    for number in range(300):
        made = case(24, number, bases)
        if not made.data:
            continue
        try:
            assert both(made.data) == [], (number, made.base, made.recipe)
            outcomes["alike"] += 1
        except Unusual:
            outcomes["unusual"] += 1
    # Both ways are gone often enough for this to mean something.
    assert outcomes["alike"] > 150
    assert outcomes["unusual"] > 30


def test_headers_end_where_the_file_ends() -> None:
    data = bytearray(pe_file(b"", DEBUG, SECTION, 28))
    # The one section is said to begin beyond the end of the file and at another address, so that
    # the directory would be in the headers, were they as long as that.
    section = data.index(b".rsrc")
    struct.pack_into("<II", data, section + 8, 16, 0x8000)
    struct.pack_into("<I", data, section + 20, 0x4000)
    assert both(bytes(data)) == []
    image = read_image(bytes(data), Content(bytes(data)).entropy_of)
    assert image is not None
    assert "Invalid debug information..." in kinds(image["pefilewarnings"])


def test_a_resource_table_that_is_cut_off() -> None:
    # 496 bytes in, so that of the entries behind the first 16 bytes none is in the section.
    data = pe_file(bytes(508) + b"\1\0\0\0", RESOURCE, SECTION + 496, 16)
    assert both(data) == []
    image = read_image(data, Content(data).entropy_of)
    assert image is not None
    assert "Error parsing the resources directory, Entry..." in image["pefilewarnings"]


RICH, DANS = 0x68636952, 0x536E6144
HIGH = 0x80000000


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ((RICH, RICH ^ DANS), True),
        ((DANS ^ RICH, RICH, RICH), True),
        ((RICH, 1), False),
        ((DANS ^ 1, RICH, 1), False),
    ],
)
@pytest.mark.parametrize("unusual", [False, True])
def test_a_rich_header_without_its_first_words_fails_as_it_does_in_the_definition(
    words: tuple[int, ...], refused: bool, unusual: bool
) -> None:
    small = small_pe()
    stub = bytes(64) + struct.pack(f"<{len(words)}I", *words)
    headers = 64 + len(stub)
    data = bytearray(small[:64] + stub + small[64 : 512 - len(stub)] + small[512:])
    struct.pack_into("<I", data, 60, headers)
    if unusual:
        layout = pe_layout(data)
        assert layout is not None
        struct.pack_into("<I", data, layout.directories - 4, 3)
    outcome = check(bytes(data))
    assert outcome.problems == []
    assert outcome.refused.startswith("the definition fails with this PE") == refused


def test_a_function_override_that_ends_too_early_fails_as_it_does_in_the_definition() -> None:
    header = struct.pack("<IIII", 0x1000, 0, 8, 0)
    entries = struct.pack("<I", len(header) + 8) + header + b"\1\0"
    table = struct.pack("<II", 1, 12 + len(entries)) + struct.pack("<QI", 7, len(entries)) + entries
    # The section ends two bytes into the first of two addresses.
    content = struct.pack("<I", 320).ljust(512, b"\0") + bytes(512 - len(table)) + table
    data = bytearray(pe_file(content, LOAD_CONFIG, SECTION, 320, virtual_size=0x1000))
    struct.pack_into("<IH", data, 0x400 + 224, 1024 - len(table), 1)
    outcome = check(bytes(data))
    assert outcome.problems == []
    assert outcome.refused == (
        "the definition fails with this PE file (error: unpack requires a buffer of 4 bytes)"
    )


def test_names_of_exports_behind_what_their_section_has() -> None:
    directory = struct.pack("<12x7I", SECTION, 1, 3, 3, SECTION + 64, SECTION + 1200, SECTION + 64)
    assert both(pe_file(directory, EXPORT, SECTION, 40, virtual_size=0x1000)) == []


def test_the_highest_bit_of_the_number_of_directories_is_none() -> None:
    data = bytearray(small_pe())
    layout = pe_layout(data)
    assert layout is not None
    struct.pack_into("<I", data, layout.directories - 4, 0x80000000)
    image = read_image_by_pefile(bytes(data), Content(bytes(data)).entropy_of)
    assert image is not None
    # Nothing but the entry that tells of relocations.
    assert len(image["datadirectories"]) == 1
    with pytest.raises(Unusual):
        both(bytes(data))


@pytest.mark.parametrize("data", [small_pe(), b"MZ"], ids=["PE", "no PE"])
def test_nothing_is_left_of_a_file_that_pefile_has_read(data: bytes) -> None:
    entropy = Content(data).entropy_of
    read_image_by_pefile(data, entropy)
    gc.collect()
    gc.disable()
    # Other tests may hold some of their own.
    before = pe_objects()
    try:
        read_image_by_pefile(data, entropy)
        assert pe_objects() == before
    finally:
        gc.enable()


def pe_objects() -> int:
    return sum(isinstance(it, pefile.PE) for it in gc.get_objects())


def plain_and_bounded(data: bytes) -> tuple[object, object]:
    """What is used of pefile's own class and of the one that saves memory."""
    answers = []
    for kind in (pefile.PE, BoundedPE):
        try:
            pe = kind(data=data) if kind is pefile.PE else kind(data)
        except (pefile.PEFormatError, AttributeError) as error:
            answers.append(type(error).__name__)
            continue
        warnings = kinds(pe.get_warnings()) | getattr(pe, "kinds", set())
        answers.append(
            (
                # How much a byte makes up is told elsewhere.
                sorted(warnings - {"Byte 0x..."}),
                pe.has_relocs(),
                pe.has_dynamic_relocs(),
                pe.get_overlay_data_start_offset(),
                [symbols(entry) for entry in getattr(pe, "DIRECTORY_ENTRY_IMPORT", [])],
                [item.name for item in exported.symbols]
                if (exported := getattr(pe, "DIRECTORY_ENTRY_EXPORT", None))
                else None,
            )
        )
    return answers[0], answers[1]


def symbols(library: pefile.ImportDescData) -> tuple[bytes, list[tuple[bytes | None, int | None]]]:
    return library.dll, [(item.name, item.ordinal) for item in library.imports]


@pytest.mark.parametrize("path", real_pes(), ids=lambda path: path.name)
def test_saving_memory_changes_nothing_in_real_files(path: Path) -> None:
    plain, bounded = plain_and_bounded(path.read_bytes())
    assert plain == bounded


@pytest.mark.parametrize(
    "kind",
    ["relocation_blocks", "unwind_information", "directory_entry", "section_fields", "machine",
     "sections_exchanged", "load_config", "optional_header", "cut", "block_moved"],
)  # fmt: skip
def test_saving_memory_changes_nothing_in_damaged_files(kind: str) -> None:
    for seed in range(12):
        data = mutated(random.Random(f"{kind}{seed}").choice(SMALL), f"{seed}:{kind}")
        plain, bounded = plain_and_bounded(data)
        assert plain == bounded, seed


def exports_file(functions: int, names: int) -> bytes:
    """2 MB of exports: the directory at the beginning of the section, tables of zeros behind it."""
    content = struct.pack("<12x7I", SECTION, 1, functions, names, *[SECTION + 64] * 3)
    return pe_file(content + bytes(2_000_000), EXPORT, SECTION, 40, virtual_size=2_000_064)


@pytest.mark.parametrize(("functions", "names"), [(400_000, 3), (400_000, 400_000), (70_000, 0)])
def test_more_exports_than_there_are_ordinals_are_left_to_pefile(
    functions: int, names: int
) -> None:
    data = exports_file(functions, names)
    with pytest.raises(Unusual, match="more exports than"):
        both(data)
    plain, bounded = plain_and_bounded(data)
    assert plain == bounded


def test_as_many_exports_as_there_are_ordinals() -> None:
    assert both(exports_file(1 << 16, 1 << 16)) == []


def growth(function: Callable[[], object]) -> int:
    """Bytes that Python's objects take more, at the most, while a function runs."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def strings_file(size: int) -> bytes:
    """Fifty tables of strings of a resource directory, which are all the same bytes."""

    def table(name: int, target: int) -> bytes:
        return struct.pack("<12xHHII", 0, 1, name, target)

    languages = 24 + 16 + 8 * 50
    content = table(6, HIGH | 24) + struct.pack("<12xHH", 0, 50)
    content += b"".join(struct.pack("<II", name, HIGH | languages) for name in range(1, 51))
    content += table(1033, languages + 24) + struct.pack("<IIII", SECTION + 0x1000, size, 0, 0)
    content = content.ljust(0x1000, b"\0") + b"\1\0A\0" * (size // 4)
    return pe_file(content, RESOURCE, SECTION, len(content), virtual_size=len(content))


def debug_file(size: int) -> bytes:
    """A hundred debug entries, each with the name of a PDB file as long as the file."""
    entry = struct.pack("<12xIIII", 2, size, 0, 0x400 + 2800)
    content = entry * 100 + b"RSDS" + bytes(size)
    return pe_file(content, DEBUG, SECTION, 2800, virtual_size=len(content))


def version_file(size: int) -> bytes:
    """Version information as long as the file."""
    tables = [(16, HIGH | 24), (1, HIGH | 48), (1033, 72)]
    content = b"".join(struct.pack("<12xHHII", 0, 1, *table) for table in tables)
    content += struct.pack("<IIII", SECTION + 0x100, size, 0, 0)
    content = content.ljust(0x100, b"\0") + version_resource(random.Random(1)) + bytes(size)
    return pe_file(content, RESOURCE, SECTION, len(content), virtual_size=len(content))


@pytest.mark.parametrize(
    "data",
    [
        exports_file(300_000, 300_000),
        strings_file(1_000_000),
        debug_file(1_000_000),
        version_file(4_000_000),
    ],
    ids=["exports", "strings", "debug", "version"],
)
def test_what_a_file_says_of_itself_takes_no_memory(data: bytes) -> None:
    # Beside a copy of what a section has.
    assert growth(lambda: BoundedPE(data).close()) < len(data) + 1_000_000


@pytest.mark.parametrize(
    "data",
    [strings_file(4000), debug_file(4000), version_file(2_000_000)],
    ids=["strings", "debug", "version"],
)
def test_what_takes_no_memory_changes_nothing(data: bytes) -> None:
    plain, bounded = plain_and_bounded(data)
    assert plain == bounded
