"""What the definition sees of a PE file, by readers of our own where the file is put together sanely."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corpus.features.ember_v3.pe import names
from corpus.features.ember_v3.pe.bound_imports import bound_imports
from corpus.features.ember_v3.pe.debug import debug
from corpus.features.ember_v3.pe.exceptions import runtime_functions
from corpus.features.ember_v3.pe.exports import exports
from corpus.features.ember_v3.pe.headers import (
    Headers,
    directories_group,
    header_group,
    header_warnings,
    read_headers,
)
from corpus.features.ember_v3.pe.imports import ImportReader
from corpus.features.ember_v3.pe.load_config import load_config, tls
from corpus.features.ember_v3.pe.relocations import relocations
from corpus.features.ember_v3.pe.resources import resources
from corpus.features.ember_v3.pe.rich_header import rich_header
from corpus.features.ember_v3.pe.section_table import (
    Section,
    address_ranges,
    entry_section,
    header_length,
    read_sections,
    section_group,
)
from corpus.features.ember_v3.pe.sections import AddressMap, OutOfFileError
from corpus.features.ember_v3.pe.unusual import UnusualError

Entropy = Callable[[int, int], float]
"""Entropy in bits of the bytes of a file from an offset up to another."""

_SECURITY = names.DIRECTORIES.index("SECURITY")


def read_image(data: bytes, entropy: Entropy) -> dict[str, Any] | None:
    """Raw features of the groups of a PE file's structure; None if it is none.

    Two of them are not the definition's yet: "imports" is the list of `Library` as they stand in the
    file, and "pefilewarnings" the set of the warnings, each a kind of format_warnings or as much of
    pefile's text as tells its kind. "time_stamp" is that of the file header.

    Raises `UnusualError` if pefile has to read the file, `BadInputError` if pefile fails with it.
    """
    headers = read_headers(data)
    if headers is None:
        return None
    warnings = header_warnings(headers)
    sections, more = read_sections(data, headers)
    warnings |= more
    ranges = address_ranges(sections, len(data))
    addresses = _address_map(data, headers, sections, ranges)
    warnings |= _entry_point_warnings(headers, addresses)
    try:
        groups, more = _directories(data, headers, sections, addresses)
        overlay = overlay_start(data, headers, sections, addresses)
    except OutOfFileError as error:
        raise UnusualError(str(error)) from error
    warnings |= more
    rich, more = rich_header(data, headers.optional_offset)
    warnings |= more
    return {
        "header": header_group(headers),
        "section": section_group(
            sections,
            [entropy(s.start, s.start + s.size) for s in sections],
            entry_section(sections, ranges, headers.optional["AddressOfEntryPoint"]),
            None if overlay is None else (len(data) - overlay, entropy(overlay, len(data))),
            len(data),
        ),
        **groups,
        "richheader": rich,
        "pefilewarnings": warnings,
        "time_stamp": headers.time_stamp,
    }


def _address_map(
    data: bytes, headers: Headers, sections: list[Section], ranges: list[tuple[int, int]]
) -> AddressMap:
    stops = [-1, *(stop for _, stop in ranges)]
    if any(start < stop for (start, _), stop in zip(ranges, stops, strict=False)):
        raise UnusualError("sections overlap in memory")
    spans = [
        (start, stop, section.start, section.pointer + section.size)
        for section, (start, stop) in zip(sections, ranges, strict=True)
    ]
    return AddressMap(data, spans, min(header_length(headers, sections), len(data)))


def _entry_point_warnings(headers: Headers, addresses: AddressMap) -> set[str]:
    entry_point = headers.optional["AddressOfEntryPoint"]
    if addresses.section(entry_point) < 0:
        return {"AddressOfEntryPoint lies outside the sections' boundaries..."}
    if addresses.offset(entry_point) > len(addresses.data):
        return {"Possibly corrupt file. AddressOfEntryPoint lies outside the file..."}
    return set()


def _directories(
    data: bytes, headers: Headers, sections: list[Section], addresses: AddressMap
) -> tuple[dict[str, Any], set[str]]:
    """The groups imports, exports and datadirectories, and the warnings of all directories."""
    directory = dict(zip(names.DIRECTORIES, headers.directories, strict=False))
    warnings: set[str] = set()
    size_of_image = headers.optional["SizeOfImage"]
    virtual_addresses = [section.virtual_address for section in sections]

    def at(name: str) -> tuple[int, int] | None:
        rva, size = directory[name]
        return (rva, size) if rva else None

    imports = ImportReader(addresses, pe32_plus=headers.pe32_plus, machine=headers.machine)
    libraries = imports.imports(place[0]) if (place := at("IMPORT")) else []
    exported: list[str] = []
    if place := at("EXPORT"):
        lengths = [
            max(0, min(section.start + section.size, len(data)) - section.start)
            for section in sections
        ]
        exported, more = exports(addresses, *place, virtual_addresses, lengths)
        warnings |= more
    if place := at("RESOURCE"):
        warnings |= resources(addresses, *place)
    if place := at("DEBUG"):
        warnings |= debug(addresses, *place)
    has_relocs = False
    if place := at("BASERELOC"):
        found = relocations(addresses, *place, size_of_image)
        has_relocs = found.found
        warnings |= found.warnings
    if place := at("TLS"):
        warnings |= tls(addresses, place[0], headers.pe32_plus)
    has_dynamic_relocs = False
    if place := at("LOAD_CONFIG"):
        has_dynamic_relocs, more = load_config(
            addresses, place[0], headers.pe32_plus, virtual_addresses, size_of_image
        )
        warnings |= more
    if place := at("DELAY_IMPORT"):
        imports.delayed_imports(place[0])
    if place := at("BOUND_IMPORT"):
        warnings |= bound_imports(
            addresses, place[0], [(section.pointer, section.size) for section in sections]
        )
    if place := at("EXCEPTION"):
        warnings |= runtime_functions(addresses, *place, headers.machine)
    groups = {
        "imports": libraries,
        "exports": exported,
        "datadirectories": directories_group(
            headers, has_relocs=has_relocs, has_dynamic_relocs=has_dynamic_relocs
        ),
    }
    return groups, warnings | imports.warnings


def overlay_start(
    data: bytes, headers: Headers, sections: list[Section], addresses: AddressMap
) -> int | None:
    """Offset of the bytes behind all that the headers speak of; None if there are none."""
    parts = [(headers.optional_offset, headers.optional_size)]
    parts += [(section.pointer, section.size) for section in sections]
    for index, (rva, size) in enumerate(headers.directories):
        if index == _SECURITY:
            continue
        try:
            parts.append((addresses.offset(rva), size))
        except OutOfFileError:
            continue
    end = max((sum(part) for part in parts if sum(part) <= len(data)), default=0)
    return end if len(data) > end else None
