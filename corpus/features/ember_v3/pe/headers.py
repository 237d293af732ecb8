"""The headers of a PE file: DOS, COFF and optional header, data directories."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from corpus.features.ember_v3.pe import names
from corpus.features.ember_v3.pe.unusual import UnusualError

PE32, PE32_PLUS = 0x10B, 0x20B
_DOS = struct.Struct("<14H8x2H20xI")
_COFF = struct.Struct("<HHIIIHH")
_OPTIONAL_NAMES = (
    "Magic", "MajorLinkerVersion", "MinorLinkerVersion", "SizeOfCode", "SizeOfInitializedData",
    "SizeOfUninitializedData", "AddressOfEntryPoint", "BaseOfCode", "ImageBase", "SectionAlignment",
    "FileAlignment", "MajorOperatingSystemVersion", "MinorOperatingSystemVersion",
    "MajorImageVersion", "MinorImageVersion", "MajorSubsystemVersion", "MinorSubsystemVersion",
    "SizeOfImage", "SizeOfHeaders", "CheckSum", "Subsystem", "DllCharacteristics",
    "SizeOfStackReserve", "SizeOfStackCommit", "SizeOfHeapReserve", "SizeOfHeapCommit",
    "NumberOfRvaAndSizes",
)  # fmt: skip
_OPTIONAL = {
    PE32: struct.Struct("<HBB5I4xIII6H4xIIIHHIIII4xI"),
    PE32_PLUS: struct.Struct("<HBB5IQII6H4xIIIHHQQQQ4xI"),
}
_DIRECTORIES = struct.Struct("<32I")


@dataclass(frozen=True, slots=True)
class Headers:
    """Values of the headers by the names of winnt.h; offsets in bytes of the file."""

    dos: tuple[int, ...]
    machine: int
    number_of_sections: int
    time_stamp: int
    symbol_table: int
    number_of_symbols: int
    optional_size: int
    characteristics: int
    optional_offset: int
    optional: dict[str, int]
    directories: list[tuple[int, int]]
    """RVA and size of each data directory."""

    @property
    def pe32_plus(self) -> bool:
        return self.optional["Magic"] == PE32_PLUS

    @property
    def sections_offset(self) -> int:
        return self.optional_offset + self.optional_size


def read_headers(data: bytes) -> Headers | None:
    """The headers; None for what pefile, too, does not take for a PE file. Raises `UnusualError`."""
    if len(data) < _DOS.size or data[:2] != b"MZ":
        return None
    dos = _DOS.unpack_from(data)
    start = dos[-1]
    if data[start : start + 4] != b"PE\0\0":
        return None
    optional_offset = start + 4 + _COFF.size
    if optional_offset > len(data):
        return None
    coff = _COFF.unpack_from(data, start + 4)
    layout = _OPTIONAL.get(int.from_bytes(data[optional_offset : optional_offset + 2], "little"))
    if layout is None:
        raise UnusualError("magic of the optional header")
    if optional_offset + layout.size + _DIRECTORIES.size > len(data):
        raise UnusualError("optional header beyond the end of the file")
    optional = dict(zip(_OPTIONAL_NAMES, layout.unpack_from(data, optional_offset), strict=True))
    # pefile leaves out the highest bit.
    if optional["NumberOfRvaAndSizes"] & 0x7FFFFFFF < len(names.DIRECTORIES):
        raise UnusualError("fewer than 16 data directories")
    numbers = iter(_DIRECTORIES.unpack_from(data, optional_offset + layout.size))
    directories = list(zip(numbers, numbers, strict=True))
    return Headers(dos, *coff, optional_offset, optional, directories)  # type: ignore[call-arg]


def header_warnings(headers: Headers) -> set[str]:
    """Warnings that the headers alone give rise to."""
    warnings = set()
    optional = headers.optional
    if optional["AddressOfEntryPoint"] < optional["SizeOfHeaders"]:
        warnings.add("SizeOfHeaders is smaller than AddressOfEntryPoint...")
    if optional["NumberOfRvaAndSizes"] > len(names.DIRECTORIES):
        warnings.add("Suspicious NumberOfRvaAndSizes in the Optional Header...")
    return warnings


def header_group(headers: Headers) -> dict[str, Any]:
    """The raw features of the group header."""
    optional = headers.optional
    subsystem = names.SUBSYSTEM_CODES.get(optional["Subsystem"], "UNKNOWN")
    return {
        "coff": {
            "timestamp": headers.time_stamp,
            "machine": names.MACHINE_PREFIX + names.MACHINE_CODES.get(headers.machine, "UNKNOWN"),
            "number_of_sections": headers.number_of_sections,
            "number_of_symbols": headers.number_of_symbols,
            "sizeof_optional_header": headers.optional_size,
            "pointer_to_symbol_table": headers.symbol_table,
            "characteristics": [
                name
                for bit, name in enumerate(names.IMAGE_CHARACTERISTICS)
                if headers.characteristics >> bit & 1
            ],
        },
        "optional": {
            "magic": optional["Magic"],
            "subsystem": names.SUBSYSTEM_PREFIX + subsystem,
            **{feature: optional[name] for feature, name in names.OPTIONAL_FEATURES.items()},
            "dll_characteristics": [
                name
                for bit, name in enumerate(names.DLL_CHARACTERISTICS, 5)
                if optional["DllCharacteristics"] >> bit & 1
            ],
        },
        "dos": dict(zip(names.DOS_FIELDS, headers.dos, strict=True)),
    }


def directories_group(
    headers: Headers, *, has_relocs: bool, has_dynamic_relocs: bool
) -> list[dict[str, Any]]:
    """The raw features of the group datadirectories."""
    return [
        {"has_relocs": int(has_relocs), "has_dynamic_relocs": int(has_dynamic_relocs)},
        *(
            {"name": name, "size": size, "virtual_address": address}
            for name, (address, size) in zip(names.DIRECTORIES, headers.directories, strict=False)
        ),
    ]
