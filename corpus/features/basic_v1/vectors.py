"""The vector of `basic-v1`, group by group, from its raw features.

Sizes and counts reach over many orders of magnitude, and hostile headers over all: they enter as
log(1 + x). Everything is computed in float64 and rounded to float32 once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log1p
from typing import Any

import numpy as np

from corpus.features.basic_v1.hashing import hashed

LIBRARY_COLUMNS = 128
FUNCTION_COLUMNS = 512
SECTION_COLUMNS = 50

_PROPERTIES = (
    "is_pe",
    "is_elf",
    "parsed",
    "is_64bit",
    "is_library",
    "has_debug",
    "has_signature",
    "has_resources",
    "has_tls",
    "has_relocations",
)

# Values with a column of their own; one more column takes all others.
_PE_MACHINES = (0x14C, 0x8664, 0x1C0, 0x1C4, 0xAA64)
_PE_MAGICS = (0x10B, 0x20B)
_PE_SUBSYSTEMS = (1, 2, 3, 9, 10, 11, 12, 13, 14, 16)
_PE_LOGS = (
    "addressof_entrypoint",
    "baseof_code",
    "checksum",
    "file_alignment",
    "loader_flags",
    "section_alignment",
    "sizeof_code",
    "sizeof_headers",
    "sizeof_heap_commit",
    "sizeof_heap_reserve",
    "sizeof_image",
    "sizeof_initialized_data",
    "sizeof_stack_commit",
    "sizeof_stack_reserve",
    "sizeof_uninitialized_data",
    "major_image_version",
    "minor_image_version",
    "major_linker_version",
    "minor_linker_version",
    "major_operating_system_version",
    "minor_operating_system_version",
    "major_subsystem_version",
    "minor_subsystem_version",
)
_PE_FLAGS = 16
_PE_COLUMNS = 92

_ELF_CLASSES = (1, 2)
_ELF_DATA = (1, 2)
_ELF_OS_ABIS = (0, 3)
_ELF_TYPES = (1, 2, 3, 4)
_ELF_MACHINES = (2, 3, 8, 20, 21, 22, 40, 62, 183, 243)
_ELF_SEGMENTS = (
    "load",
    "dynamic",
    "interp",
    "note",
    "phdr",
    "tls",
    "gnu_eh_frame",
    "gnu_stack",
    "gnu_relro",
    "other",
)
_ELF_PROPERTIES = ("has_symtab", "has_rpath", "has_init_array", "binds_now")
_ELF_LOGS = ("entrypoint", "flags", "sections", "segments", "needed", "dynamic_symbols")
_ELF_INTERPRETER_COLUMNS = 5
_ELF_COLUMNS = 58


def vectorize(raw: Mapping[str, Any]) -> np.ndarray:
    """The vector of raw features, float32 [1534]."""
    return np.concatenate(
        [
            _general(raw),
            _shares(raw["histogram"]),
            _shares(raw["byteentropy"]),
            _pe_header(raw["pe"]),
            _elf_header(raw["elf"]),
            _sections(raw["sections"]),
            _imports(raw["imports"]),
        ]
    ).astype(np.float32)


def _general(raw: Mapping[str, Any]) -> list[float]:
    general = raw["general"]
    size = general["size"]
    return [
        log1p(size),
        general["entropy"],
        *(float(general[name]) for name in _PROPERTIES),
        log1p(len(raw["imports"]["libraries"])),
        log1p(general["imports"]),
        log1p(general["exports"]),
        log1p(len(raw["sections"])),
        log1p(general["overlay"]),
        general["overlay"] / size if size else 0.0,
    ]


def _shares(counts: Sequence[int]) -> np.ndarray:
    array = np.asarray(counts, np.float64)
    return array / max(int(sum(counts)), 1)


def _pe_header(header: Mapping[str, Any] | None) -> list[float]:
    if header is None:
        return [0.0] * _PE_COLUMNS
    return [
        *_one_hot(header["machine"], _PE_MACHINES),
        *_one_hot(header["magic"], _PE_MAGICS),
        *_one_hot(header["subsystem"], _PE_SUBSYSTEMS),
        *_bits(header["characteristics"], _PE_FLAGS),
        *_bits(header["dll_characteristics"], _PE_FLAGS),
        # From 0, in 1970, to 1, in 2106.
        header["timestamp"] / 2**32,
        *(log1p(header[name]) for name in _PE_LOGS),
        *(log1p(size) for size in header["directories"]),
    ]


def _elf_header(header: Mapping[str, Any] | None) -> list[float]:
    if header is None:
        return [0.0] * _ELF_COLUMNS
    interpreter = [(header["interpreter"], 1.0)] if header["interpreter"] else []
    return [
        *_one_hot(header["class"], _ELF_CLASSES),
        *_one_hot(header["data"], _ELF_DATA),
        *_one_hot(header["os_abi"], _ELF_OS_ABIS),
        *_one_hot(header["type"], _ELF_TYPES),
        *_one_hot(header["machine"], _ELF_MACHINES),
        *(log1p(header["segment_types"].get(name, 0)) for name in _ELF_SEGMENTS),
        *(log1p(count) for count in header["segment_flags"]),
        *(float(header[name]) for name in _ELF_PROPERTIES),
        *(log1p(header[name]) for name in _ELF_LOGS),
        *hashed(interpreter, _ELF_INTERPRETER_COLUMNS),
    ]


def _sections(sections: Sequence[Mapping[str, Any]]) -> np.ndarray:
    entropies = [section["entropy"] for section in sections] or [0.0]
    sizes = [section["size"] for section in sections]
    flags = [section["flags"] for section in sections]
    summary = [
        log1p(len(sections)),
        log1p(sum(size == 0 for size in sizes)),
        log1p(sum(not section["name"] for section in sections)),
        log1p(sum("r" in f and "x" in f for f in flags)),
        log1p(sum("w" in f for f in flags)),
        log1p(sum("w" in f and "x" in f for f in flags)),
        log1p(sum(section["virtual_size"] > section["size"] for section in sections)),
        max(entropies),
        min(entropies),
        sum(entropies) / len(entropies),
        float(sum(entropy > 7.0 for entropy in entropies)) / len(entropies),
        log1p(max(sizes, default=0)),
        log1p(sum(sizes)),
        log1p(sum(section["virtual_size"] for section in sections)),
    ]
    names = [section["name"] for section in sections]
    virtual = [log1p(section["virtual_size"]) for section in sections]
    return np.concatenate(
        [
            summary,
            hashed(zip(names, map(log1p, sizes), strict=True), SECTION_COLUMNS),
            hashed(((s["name"], s["entropy"]) for s in sections), SECTION_COLUMNS),
            hashed(zip(names, virtual, strict=True), SECTION_COLUMNS),
            hashed(((f"{s['name']}:{s['flags']}", 1.0) for s in sections), SECTION_COLUMNS),
        ]
    )


def _imports(imports: Mapping[str, Any]) -> np.ndarray:
    # Each name once: a list that repeats one says no more.
    libraries = ((name, 1.0) for name in dict.fromkeys(imports["libraries"]))
    functions = ((name, 1.0) for name in dict.fromkeys(imports["functions"]))
    return np.concatenate([hashed(libraries, LIBRARY_COLUMNS), hashed(functions, FUNCTION_COLUMNS)])


def _one_hot(value: int, known: Sequence[int]) -> list[float]:
    hot = [float(value == one) for one in known]
    return [*hot, float(value not in known)]


def _bits(value: int, count: int) -> list[float]:
    return [float(value >> bit & 1) for bit in range(count)]
