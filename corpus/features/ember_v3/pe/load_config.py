"""The load configuration and the TLS directory of a PE file: what pefile warns of in them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate

from corpus.features.ember_v3.pe.relocations import relocations
from corpus.features.ember_v3.pe.sections import AddressMap, OutOfFileError
from corpus.features.ember_v3.pe.unusual import UnusualError

_TLS_SIZE, _TLS_SIZE_PLUS = 24, 40
_WORD = struct.Struct("<I")


def tls(address_map: AddressMap, rva: int, pe_plus: bool) -> set[str]:
    """The warnings of `parse_directory_tls`, as lines of format_warnings."""
    size = _TLS_SIZE_PLUS if pe_plus else _TLS_SIZE
    try:
        return set() if len(address_map.read(rva, size)) == size else {"Corrupt header..."}
    except OutOfFileError:
        return {"Invalid TLS information. Can't read..."}


class _Layout:
    """IMAGE_LOAD_CONFIG_DIRECTORY; `fields` is a letter of struct for each of its fields."""

    def __init__(self, fields: str) -> None:
        ends = list(accumulate(struct.calcsize(f"<{field}") for field in fields))
        self.ends = frozenset(ends)
        self.size = ends[-1]
        # A directory that ends here, after 35 fields, is taken to have no dynamic relocations.
        self.without_relocations = ends[34]
        # DynamicValueRelocTableOffset and -Section are the fields 38 and 39.
        self.table = ends[36]
        self.table_end = ends[38]


_LAYOUT = _Layout("IIHHIIIIIIIIIIHHIIIIIIIIIHHIIIIIIIIIIIHHIIIIIIIIIIII")
_LAYOUT_PLUS = _Layout("IIHHIIIQQQQQQIHHQQQQQQQQIHHIIQQQQQQQQIHHQIIQQQQQQQQQ")
_TABLE = struct.Struct("<IH")


def load_config(
    address_map: AddressMap, rva: int, pe_plus: bool, sections: Sequence[int], size_of_image: int
) -> tuple[bool, set[str]]:
    """Whether there are dynamic relocations, and the warnings of `parse_directory_load_config`.

    The magic of the file is that of PE32 or PE32+. `sections` is the VirtualAddress of each section
    in pefile's order. The warnings are lines of format_warnings. Raises UnusualError if pefile fails
    with anything but PEFormatError.
    """
    layout = _LAYOUT_PLUS if pe_plus else _LAYOUT
    try:
        word = address_map.read(rva, _WORD.size)
        size = int.from_bytes(word, "little") if len(word) == _WORD.size else 0
        size = size if size in layout.ends else layout.size
        raw = address_map.read(rva, size)
    except OutOfFileError:
        return False, {"Invalid LOAD_CONFIG information..."}
    if len(raw) < size:
        return False, {"Corrupt header..."}
    if size <= layout.without_relocations:
        return False, set()
    if size < layout.table_end:
        raise UnusualError("load configuration that ends before the table of dynamic relocations")
    offset, section = _TABLE.unpack_from(raw, layout.table)
    if not offset or not 0 < section <= len(sections):
        return False, set()
    table = _DynamicRelocations(address_map, pe_plus, size_of_image)
    try:
        return table.read(sections[section - 1] + offset), table.warnings
    except OutOfFileError:
        return False, table.warnings | {"Failed to process directory..."}


class _DynamicRelocations:
    """Relocations for the kernel to apply: `parse_dynamic_relocations`. `warnings` fills up."""

    def __init__(self, address_map: AddressMap, pe_plus: bool, size_of_image: int) -> None:
        self.address_map = address_map
        self.entry = struct.Struct("<QI" if pe_plus else "<II")  # Symbol, BaseRelocSize
        self.size_of_image = size_of_image
        self.warnings: set[str] = set()

    def read(self, rva: int) -> bool:
        """Whether there are any. Raises OutOfFileError, as pefile does, inside function overrides."""
        try:
            header = self.address_map.read(rva, 8)
        except OutOfFileError:
            self.warnings.add("Invalid IMAGE_DYNAMIC_RELOCATION_TABLE information...")
            return False
        if len(header) < 8:
            raise UnusualError("table of dynamic relocations that ends in its header")
        version, size = struct.unpack("<II", header)
        if version != 1:
            self.warnings.add("No parsing available for IMAGE_DYNAMIC_RELOCATION_TABLE...")
            return False
        rva += 8
        end = rva + size
        found = False
        while rva < end:
            try:
                raw = self.address_map.read(rva, self.entry.size)
            except OutOfFileError:
                self.warnings.add("Invalid relocation information. Can't read...")
                break
            if len(raw) < self.entry.size:
                self.warnings.add("Corrupt header...")
                break
            rva += self.entry.size
            symbol, size = self.entry.unpack(raw)
            if symbol == 7:
                self._function_overrides(rva)
            elif symbol >= 3:
                self._relocations(rva, size, symbol)
            found = found or symbol >= 3
            rva += size
        return found

    def _relocations(self, rva: int, size: int, symbol: int | None = None) -> None:
        listed = relocations(self.address_map, rva, size, self.size_of_image, symbol)
        self.warnings |= listed.warnings

    def _function_overrides(self, rva: int) -> None:
        header = self._words(rva, 1, "Invalid function override header...")
        if header is None:
            return
        rva += 4
        end = rva + header[0]
        while rva < end:
            info = self._words(rva, 4, "Invalid function override info...")
            if info is None:
                return
            _, _, rvas_size, size = info
            rva += 16
            for word in range(rva, rva + rvas_size // 4 * 4, 4):
                if len(self.address_map.read(word, 4)) < 4:
                    raise UnusualError("function override that ends in its addresses")
            rva += rvas_size // 4 * 4
            self._relocations(rva, size)
            rva += size
        info = self._words(rva, 2, "Invalid bdd info...")
        if info is None:
            return
        rva += 8
        for relocation in range(rva, rva + info[1] // 8 * 8, 8):
            if self._words(relocation, 2, "Invalid bdd dynamic relocation...") is None:
                return

    def _words(self, rva: int, count: int, warning: str) -> tuple[int, ...] | None:
        raw = self.address_map.read(rva, 4 * count)
        if len(raw) < 4 * count:
            self.warnings |= {"Corrupt header...", warning}
            return None
        return struct.unpack(f"<{count}I", raw)
