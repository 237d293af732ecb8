"""From raw features to the 2,568 columns of ember-v3."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.features.ember_v3.kernels.content import general_vector, shares
from corpus.features.ember_v3.kernels.hashing import hash_pairs, hash_strings
from corpus.features.ember_v3.kernels.strings import strings_vector
from corpus.features.ember_v3.pe import names
from corpus.features.ember_v3.pefile_compat.format_warnings import KINDS
from corpus.features.ember_v3.signature.authenticode import FEATURES

Row = NDArray[np.float32]
Raw = Mapping[str, Any]

_MACHINES = {names.MACHINE_PREFIX + name: i for i, name in enumerate(names.MACHINES)}
_SUBSYSTEMS = {
    names.SUBSYSTEM_PREFIX + name: i for i, name in enumerate(names.SUBSYSTEM_CODES.values())
}
_DIRECTORIES = {name: i for i, name in enumerate(names.DIRECTORIES)}
_KINDS = {kind: i for i, kind in enumerate(KINDS)}


def header(raw: Raw) -> Row:
    """float32 [74]: COFF header, optional header, both kinds of characteristics, DOS header."""
    if not raw:
        return np.zeros(74, np.float32)
    coff, optional, dos = raw["coff"], raw["optional"], raw["dos"]
    image, dll = set(coff["characteristics"]), set(optional["dll_characteristics"])
    numbers = [
        coff["timestamp"],
        coff["number_of_sections"],
        coff["number_of_symbols"],
        coff["sizeof_optional_header"],
        coff["pointer_to_symbol_table"],
        _MACHINES.get(coff["machine"], 0),
        _SUBSYSTEMS.get(optional["subsystem"], 0),
        *(optional[feature] for feature in names.OPTIONAL_FEATURES),
        *(name in image for name in names.IMAGE_CHARACTERISTICS),
        *(name in dll for name in names.DLL_CHARACTERISTICS),
        *(dos[field] for field in names.DOS_FIELDS),
    ]
    # The definition gathers the numbers as int64, or as float64 if one does not fit, which rounds
    # sizes over 2^53 twice.
    wide = max(numbers) >= 1 << 63
    return np.array(numbers, np.float64 if wide else np.int64).astype(np.float32)


def section(raw: Raw) -> Row:
    """float32 [224]: counts and extremes, four hashed tables of 50, entry section, overlay."""
    if not raw:
        return np.zeros(224, np.float32)
    sections, overlay = raw["sections"], raw["overlay"]
    entropies = [*(s["entropy"] for s in sections), overlay["entropy"], 0]
    size_ratios = [*(s["size_ratio"] for s in sections), overlay["size_ratio"], 0]
    vsize_ratios = [*(s["vsize_ratio"] for s in sections), 0]
    general = [
        len(sections),
        sum(s["size"] == 0 for s in sections),
        sum(s["name"] == "" for s in sections),
        sum("MEM_READ" in s["props"] and "MEM_EXECUTE" in s["props"] for s in sections),
        sum("MEM_WRITE" in s["props"] for s in sections),
        *(max(entropies), min(entropies)),
        *(max(size_ratios), min(size_ratios)),
        *(max(vsize_ratios), min(vsize_ratios)),
    ]
    return np.concatenate(
        [
            np.array(general, np.float64),
            *(hash_pairs([(s["name"], s[key]) for s in sections], 50) for key in _SECTION_TABLES),
            hash_strings([f"{s['name']}:{name}" for s in sections for name in s["props"]], 50),
            hash_strings([raw["entry"]], 10),
            np.array([overlay["size"], overlay["size_ratio"], overlay["entropy"]], np.float64),
        ]
    ).astype(np.float32)


_SECTION_TABLES = ("size", "vsize", "entropy")


def imports(raw: Mapping[str, Sequence[str]]) -> Row:
    """float32 [1282]: counts of functions and libraries, libraries in 256, functions in 1,024."""
    if not raw:
        return np.zeros(1282, np.float32)
    libraries = list({library.lower() for library in raw})
    functions = [f"{library.lower()}:{name}" for library, found in raw.items() for name in found]
    return np.concatenate(
        [
            np.array([len(functions), len(libraries)], np.float64),
            hash_strings(libraries, 256, alternate_sign=False),
            hash_strings(functions, 1024, alternate_sign=False),
        ]
    ).astype(np.float32)


def exports(raw: Sequence[str]) -> Row:
    """float32 [129]: 128 if there are any (the number of columns, where a count was meant), names."""
    if not raw:
        return np.zeros(129, np.float32)
    return np.concatenate([np.array([128.0]), hash_strings(list(raw), 128)]).astype(np.float32)


def datadirectories(raw: Sequence[Raw]) -> Row:
    """float32 [34]: size and RVA of each directory, but of the last one read; relocations."""
    vector = np.zeros(34, np.float32)
    if raw:
        # The definition's loop ends one too early.
        for entry in raw[1:-1]:
            column = 2 * _DIRECTORIES[entry["name"]]
            vector[column : column + 2] = entry["size"], entry["virtual_address"]
        vector[-2:] = raw[0]["has_relocs"], raw[0]["has_dynamic_relocs"]
    return vector


def richheader(raw: Sequence[int]) -> Row:
    """float32 [33]: number of pairs, and the pairs of tool id and count hashed."""
    if not raw:
        return np.zeros(33, np.float32)
    pairs = [(str(tool), count) for tool, count in zip(raw[::2], raw[1::2], strict=False)]
    return np.concatenate([np.array([len(raw) // 2], np.float64), hash_pairs(pairs, 32)]).astype(
        np.float32
    )


def authenticode(raw: Raw) -> Row:
    """float32 [8]: of the signatures, their certificates and times (seconds)."""
    if not raw:
        return np.zeros(8, np.float32)
    return np.array([raw[name] for name in FEATURES], np.float64).astype(np.float32)


def pefilewarnings(raw: Sequence[str]) -> Row:
    """float32 [88]: 1 for each kind of warning, and their number."""
    vector = np.zeros(88, np.float32)
    for kind in raw:
        vector[_KINDS[kind]] = 1
    vector[-1] = len(raw)
    return vector


GROUPS: dict[str, Callable[[Any], Row]] = {
    "general": general_vector,
    "histogram": shares,
    "byteentropy": shares,
    "strings": strings_vector,
    "header": header,
    "section": section,
    "imports": imports,
    "exports": exports,
    "datadirectories": datadirectories,
    "richheader": richheader,
    "authenticode": authenticode,
    "pefilewarnings": pefilewarnings,
}
"""The function from raw features to columns of each group, in the order of the columns."""


def vectorize(raw: Raw) -> Row:
    """The vector of a file's raw features, float32 [2568]."""
    return columns(raw, GROUPS)


def columns(raw: Raw, groups: Mapping[str, Callable[[Any], Row]]) -> Row:
    """The columns of each group, one after the other."""
    return np.concatenate([function(raw[group]) for group, function in groups.items()])
