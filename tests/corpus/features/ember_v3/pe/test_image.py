"""Both ways to read a PE file's structure: our own readers, and pefile."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path

import pytest

from corpus.features.ember_v3.kernels.content import Content
from corpus.features.ember_v3.pe.image import read_image
from corpus.features.ember_v3.pe.unusual import UnusualError
from corpus.features.ember_v3.pefile_compat.fallback import read_image_by_pefile
from corpus.features.ember_v3.pefile_compat.format_warnings import kinds
from tests.support.executables import real_pes, small_pe
from tests.support.fuzz.cases import base_files, case
from tests.support.fuzz.checks import check, differences
from tests.support.fuzz.layout import pe_layout
from tests.support.fuzz.mutations import mutated
from tests.support.fuzz.pe_mutations import MUTATIONS
from tests.support.pe.built import (
    DEBUG,
    EXPORT,
    IMPORT,
    LOAD_CONFIG,
    RESOURCE,
    SECTION,
    exports_file,
    pe_file,
)

SMALL = sorted({path.read_bytes() for path in real_pes() if path.stat().st_size < 20_000})


def both(data: bytes) -> list[str]:
    """What the readers disagree on. Raises UnusualError."""
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
        except UnusualError:
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
        except UnusualError:
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


def test_thunks_beyond_the_end_of_their_section_in_memory() -> None:
    # The next section begins there in memory, and what follows in the file is something else.
    content = bytearray(0x1200)
    struct.pack_into("<5I", content, 0, SECTION + 0xFF8, 0, 0, SECTION + 100, SECTION + 0xFF8)
    content[100:106], content[200:204], content[300:304] = b"a.dll\0", b"\0\0f\0", b"\0\0g\0"
    struct.pack_into("<QQ", content, 0xFF8, SECTION + 200, 0)
    following = struct.pack("<Q", SECTION + 300).ljust(0x200, b"\0")
    data = bytearray(pe_file(bytes(content) + following, IMPORT, SECTION, 40))
    layout = pe_layout(data)
    assert layout is not None
    struct.pack_into("<H", data, layout.coff + 2, 2)
    for number, (address, size, pointer) in enumerate(
        ((SECTION, 0x1200, 0x400), (SECTION + 0x1000, 0x200, 0x1600))
    ):
        entry = layout.section_table + 40 * number
        struct.pack_into("<8s4I", data, entry, b".data", size, address, size, pointer)
    image = read_image_by_pefile(bytes(data), Content(bytes(data)).entropy_of)
    assert image is not None
    assert image["imports"][0].symbols == [b"f", b"g"]
    with pytest.raises(UnusualError, match="crosses"):
        both(bytes(data))


def test_the_highest_bit_of_the_number_of_directories_is_none() -> None:
    data = bytearray(small_pe())
    layout = pe_layout(data)
    assert layout is not None
    struct.pack_into("<I", data, layout.directories - 4, 0x80000000)
    image = read_image_by_pefile(bytes(data), Content(bytes(data)).entropy_of)
    assert image is not None
    # Nothing but the entry that tells of relocations.
    assert len(image["datadirectories"]) == 1
    with pytest.raises(UnusualError):
        both(bytes(data))


def test_more_exports_than_there_are_ordinals_are_left_to_pefile() -> None:
    for functions, names in ((400_000, 3), (3, 400_000), (70_000, 0)):
        with pytest.raises(UnusualError, match="more exports than"):
            both(exports_file(functions, names))


def test_as_many_exports_as_there_are_ordinals() -> None:
    assert both(exports_file(1 << 16, 1 << 16)) == []
