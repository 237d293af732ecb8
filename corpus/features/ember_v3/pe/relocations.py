"""Base relocations of a PE file: whether there are any, and what pefile warns of in them."""

from __future__ import annotations

from dataclasses import dataclass

from corpus.features.ember_v3.kernels import directory_kernels
from corpus.features.ember_v3.pe.sections import AddressMap

_WARNINGS = {
    directory_kernels.UNREADABLE_BLOCK: "Invalid relocation information. Can't read...",
    directory_kernels.SHORT_BLOCK: "Corrupt header...",
    directory_kernels.ADDRESS_OUTSIDE: "Invalid relocation information. VirtualAddress outside...",
    directory_kernels.BLOCK_TOO_LARGE: "Invalid relocation information. SizeOfBlock too large...",
    directory_kernels.UNREADABLE_ENTRIES: "Bad RVA in relocation data...",
    directory_kernels.OVERLAP: "Overlapping offsets in relocation data...",
}


@dataclass(frozen=True)
class Relocations:
    """`found` is whether pefile's list of blocks has any, `warnings` are format_warnings' lines."""

    found: bool
    warnings: frozenset[str]


def relocations(
    address_map: AddressMap, rva: int, size: int, size_of_image: int, symbol: int | None = None
) -> Relocations:
    """What pefile's `parse_image_base_relocation_list` makes of `size` bytes at an RVA.

    `symbol` is that of an entry of the dynamic relocation table, if that is where they are from.
    Nothing is ever raised. The time is bounded by the RVAs in `size` that there are data for, as a
    block of no bytes is the last.
    """
    # An entry is a word, four bits of type and twelve of offset, and overlaps another with the
    # same of both. Symbols 3 to 5 have formats with bit-fields instead, of which pefile compares
    # the offset alone, and 3 (import calls) has a double word.
    found, address_map.last = directory_kernels.walk_blocks(
        *address_map.arrays,
        address_map.last,
        rva,
        rva + size,
        size_of_image,
        4 if symbol == 3 else 2,
        0x0FFF if symbol in (3, 4, 5) else 0xFFFF,
    )
    warnings = frozenset(line for bit, line in _WARNINGS.items() if found & bit)
    return Relocations(bool(found & directory_kernels.BLOCK), warnings)
