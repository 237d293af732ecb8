"""What the definition sees of a PE file, read by pefile itself: the way for whatever is unusual."""

from __future__ import annotations

import struct
from typing import Any

import pefile

from corpus.errors import BadInputError
from corpus.features.ember_v3.pe import names
from corpus.features.ember_v3.pe.headers import Headers, directories_group, header_group
from corpus.features.ember_v3.pe.image import Entropy
from corpus.features.ember_v3.pe.imports import Library
from corpus.features.ember_v3.pe.section_table import Section, entry_section, section_group
from corpus.features.ember_v3.pefile_compat.bounded_pe import BoundedPE, address_ranges

_OPTIONAL_NAMES = ("Magic", "Subsystem", "DllCharacteristics", *names.OPTIONAL_FEATURES.values())


def read_image_by_pefile(data: bytes, entropy: Entropy) -> dict[str, Any] | None:
    """As `image.read_image`, but of any file; None if it is no PE file to pefile."""
    try:
        pe = BoundedPE(data)
    except (pefile.PEFormatError, AttributeError):
        # EMBER2024's extractor takes pefile's own mistakes of this kind for "no PE file" too.
        return None
    except (IndexError, struct.error) as error:
        # And these not: a Rich header or a function override that ends too early.
        problem = f"the definition fails with this PE file ({type(error).__name__}: {error})"
        raise BadInputError(problem) from error
    with pe:
        return _image(pe, len(data), entropy)


def _image(pe: BoundedPE, size: int, entropy: Entropy) -> dict[str, Any]:
    headers = _headers(pe)
    sections = [_section(section) for section in pe.sections]
    entry = entry_section(sections, address_ranges(pe), headers.optional["AddressOfEntryPoint"])
    overlay = pe.get_overlay_data_start_offset()
    rich = pe.RICH_HEADER.values if pe.RICH_HEADER is not None else []
    return {
        "header": header_group(headers),
        "section": section_group(
            sections,
            [entropy(s.start, s.start + s.size) for s in sections],
            entry,
            None if overlay is None else (size - overlay, entropy(overlay, size)),
            size,
        ),
        "imports": _imports(pe),
        "exports": _exports(pe),
        "datadirectories": directories_group(
            headers,
            has_relocs=pe.has_relocs(),
            has_dynamic_relocs=pe.has_dynamic_relocs(),
        ),
        "richheader": rich,
        "pefilewarnings": set(pe.get_warnings()) | pe.kinds,
        "time_stamp": headers.time_stamp,
    }


def _headers(pe: pefile.PE) -> Headers:
    coff, optional = pe.FILE_HEADER, pe.OPTIONAL_HEADER
    return Headers(
        tuple(getattr(pe.DOS_HEADER, name) for name in names.DOS_FIELDS),
        coff.Machine,
        coff.NumberOfSections,
        coff.TimeDateStamp,
        coff.PointerToSymbolTable,
        coff.NumberOfSymbols,
        coff.SizeOfOptionalHeader,
        coff.Characteristics,
        optional.get_file_offset(),
        {name: getattr(optional, name) for name in _OPTIONAL_NAMES},
        [(entry.VirtualAddress, entry.Size) for entry in optional.DATA_DIRECTORY],
    )


def _section(section: pefile.SectionStructure) -> Section:
    return Section(
        section.Name,
        section.Misc_VirtualSize,
        section.VirtualAddress,
        section.SizeOfRawData,
        section.PointerToRawData,
        section.Characteristics,
        section.get_PointerToRawData_adj(),
        section.get_VirtualAddress_adj(),
    )


def _imports(pe: pefile.PE) -> list[Library]:
    return [
        Library(
            entry.dll,
            [
                item.name or item.ordinal
                for item in entry.imports
                if item.name or item.ordinal is not None
            ],
        )
        for entry in getattr(pe, "DIRECTORY_ENTRY_IMPORT", ())
    ]


def _exports(pe: pefile.PE) -> list[str]:
    directory = getattr(pe, "DIRECTORY_ENTRY_EXPORT", None)
    if directory is None:
        return []
    return [
        item.name.decode() if item.name else f"ordinal{item.ordinal}"
        for item in directory.symbols
        if item.name or item.ordinal is not None
    ]
