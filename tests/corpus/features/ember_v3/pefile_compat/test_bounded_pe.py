"""pefile's PE within bounds: it reads what pefile reads, and takes little memory."""

from __future__ import annotations

import gc
import random
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pefile
import pytest

from corpus.features.ember_v3.kernels.content import Content
from corpus.features.ember_v3.pefile_compat.bounded_pe import BoundedPE
from corpus.features.ember_v3.pefile_compat.fallback import read_image_by_pefile
from corpus.features.ember_v3.pefile_compat.format_warnings import kinds
from tests.support.executables import real_pes, small_pe
from tests.support.fuzz.mutations import mutated
from tests.support.pe.built import DEBUG, RESOURCE, SECTION, exports_file, pe_file, version_resource

SMALL = sorted({path.read_bytes() for path in real_pes() if path.stat().st_size < 20_000})
HIGH = 0x80000000


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
    # Not isinstance: it asks a proxy of what is gone for its class, and other tests leave some.
    return sum(issubclass(type(it), pefile.PE) for it in gc.get_objects())


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


@pytest.mark.parametrize(("functions", "names"), [(400_000, 3), (70_000, 0)])
def test_tables_of_exports_may_be_as_long_as_the_file(functions: int, names: int) -> None:
    plain, bounded = plain_and_bounded(exports_file(functions, names))
    assert plain == bounded


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
