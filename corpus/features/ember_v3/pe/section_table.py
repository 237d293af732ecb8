"""The section table of a PE file, and where in memory each section lies."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from corpus.features.ember_v3.pe import names
from corpus.features.ember_v3.pe.headers import Headers
from corpus.features.ember_v3.pe.unusual import UnusualError

_ENTRY = struct.Struct("<8sIIII12xI")
_SIZE = 40
_LARGE = 0x10000000
_PAGE = 0x1000
_EXECUTE, _WRITE = 0x20000000, 0x80000000
# pefile takes no section any more after the first with this many faults.
_TOO_MANY_FAULTS = 3


@dataclass(frozen=True, slots=True)
class Section:
    """One section. `start` is where its bytes begin in the file, `size` of them at most."""

    name: bytes
    virtual_size: int
    virtual_address: int
    size: int
    pointer: int
    characteristics: int
    start: int
    aligned_address: int

    @property
    def text(self) -> str:
        """The name as the features have it."""
        return section_name(self.name)


def section_name(name: bytes) -> str:
    return name.strip(b"\0").decode(errors="ignore").lower()


def read_sections(data: bytes, headers: Headers) -> tuple[list[Section], set[str]]:
    """Sections by address, and warnings. Raises `UnusualError`."""
    count = headers.number_of_sections
    first = headers.sections_offset
    if not count or first + count * _SIZE > len(data):
        raise UnusualError("no sections, or a section table beyond the end of the file")
    file_alignment = headers.optional["FileAlignment"]
    section_alignment = headers.optional["SectionAlignment"]
    warnings: set[str] = set()
    if file_alignment >= 0x200 and file_alignment & (file_alignment - 1):
        warnings.add("If FileAlignment > 0x200 it should be a power of 2. Value...")
    small = section_alignment < _PAGE
    if small and file_alignment != section_alignment:
        warnings.add("If SectionAlignment...")
    alignment = file_alignment if small else section_alignment
    sections = []
    for offset in range(first, first + count * _SIZE, _SIZE):
        name, virtual_size, address, size, pointer, flags = _ENTRY.unpack_from(data, offset)
        aligned = address - address % alignment if alignment else address
        adjusted = pointer & ~0x1FF
        start = address if small and pointer == address else adjusted
        section = Section(name, virtual_size, address, size, pointer, flags, start, aligned)
        if not any(data[offset : offset + _SIZE]):
            raise UnusualError("a section of zeros")
        faults = list(_faults(section, adjusted, file_alignment, len(data)))
        if len(faults) >= _TOO_MANY_FAULTS:
            raise UnusualError("a section with many faults")
        warnings.update(faults)
        if flags & _EXECUTE and flags & _WRITE:
            if name.rstrip(b"\0") == b"PAGE":
                raise UnusualError("a section PAGE, which may be a driver's")
            warnings.add("Suspicious flags set for section...")
        sections.append(section)
    sections.sort(key=lambda section: section.virtual_address)
    return sections, warnings


def _faults(section: Section, adjusted: int, file_alignment: int, file_size: int) -> list[str]:
    faults = []
    if section.size + section.pointer > file_size:
        faults.append("...SizeOfRawData is larger than file.")
    if adjusted > file_size:
        faults.append("...PointerToRawData points beyond the end of the file.")
    # With the full stop that the definition's ends of these two do not have.
    if section.virtual_size > _LARGE:
        faults.append(
            "Suspicious value found parsing section. VirtualSize is extremely large > 256MiB."
        )
    if section.aligned_address > _LARGE:
        faults.append(
            "Suspicious value found parsing section. VirtualAddress is beyond 0x10000000."
        )
    if file_alignment and section.pointer % file_alignment:
        faults.append(
            "...PointerToRawData should normally be a multiple of FileAlignment, this might imply "
            "the file is trying to confuse tools which parse this incorrectly."
        )
    return faults


def header_length(headers: Headers, sections: list[Section]) -> int:
    """Where the sections say that they begin in the file, which may have no such offset."""
    end = headers.sections_offset + headers.number_of_sections * _SIZE
    lowest = min((s.pointer & ~0x1FF for s in sections if s.pointer), default=0)
    return end if lowest < end else lowest


def address_ranges(sections: list[Section], file_size: int) -> list[tuple[int, int]]:
    """The addresses of each section: first, and first beyond it."""
    ranges = []
    following = [section.virtual_address for section in sections[1:]]
    for section, next_address in zip(sections, [*following, None], strict=True):
        size = section.virtual_size
        if file_size - section.start >= section.size:
            size = max(size, section.size)
        address = section.aligned_address
        if (
            next_address is not None
            and next_address > section.virtual_address
            and address + size > next_address
        ):
            size = next_address - address
        ranges.append((address, address + size))
    return ranges


def characteristics(flags: int) -> list[str]:
    """Names of the characteristics, as the features have them."""
    return [name for name, bits in names.SECTION_CHARACTERISTICS if flags & bits]


def entry_section(sections: list[Section], ranges: list[tuple[int, int]], entry_point: int) -> str:
    """Name of the section of the entry point, else of the first executable one with a name."""
    entry = ""
    for section, (start, stop) in zip(sections, ranges, strict=True):
        if start <= entry_point < stop:
            entry = section.text
    for section in sections:
        if entry:
            break
        if section.characteristics & _EXECUTE:
            entry = section.text
    return entry


def section_group(
    sections: list[Section],
    entropies: list[float],
    entry: str,
    overlay: tuple[int, float] | None,
    file_size: int,
) -> dict[str, Any]:
    """The raw features of the group section; `overlay` is its size in bytes and its entropy."""
    overlay_size, overlay_entropy = overlay or (0, 0)
    return {
        "entry": entry,
        "sections": [
            {
                "name": section.text,
                "size": section.size,
                "entropy": entropy,
                "vsize": section.virtual_size,
                "size_ratio": section.size / file_size,
                "vsize_ratio": section.size / max(section.virtual_size, 1),
                "props": characteristics(section.characteristics),
            }
            for section, entropy in zip(sections, entropies, strict=True)
        ],
        "overlay": {
            "size": overlay_size,
            "size_ratio": overlay_size / file_size,
            "entropy": overlay_entropy,
        },
    }
