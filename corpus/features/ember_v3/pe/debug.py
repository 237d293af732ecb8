"""The debug directory of a PE file: what pefile warns of in it."""

from __future__ import annotations

import struct

from corpus.features.ember_v3.pe.sections import AddressMap, OutOfFileError
from corpus.features.ember_v3.pe.unusual import UnusualError

_ENTRY = struct.Struct("<12xIIII")  # Type, SizeOfData, AddressOfRawData, PointerToRawData
_SIZE = _ENTRY.size
_CODEVIEW, _MISC, _EX_DLLCHARACTERISTICS = 2, 4, 20
# Sizes of what stands before the name of the PDB file.
_PDB_HEADERS = {b"RSDS": 24, b"NB10": 16}
_MISC_HEADER = 12
_MISC_UNICODE = 8  # offset of the byte that says whether the data are UTF-16


def debug(address_map: AddressMap, rva: int, size: int) -> set[str]:
    """The warnings of `parse_debug_directory`, as lines of format_warnings.

    Raises UnusualError if pefile fails with AttributeError.
    """
    warnings: set[str] = set()
    for entry in range(rva, rva + size // _SIZE * _SIZE, _SIZE):
        try:
            raw = address_map.read(entry, _SIZE)
        except OutOfFileError:
            return warnings | {"Invalid debug information..."}
        if len(raw) < _SIZE:
            return warnings | {"Corrupt header..."}
        kind, length, _, pointer = _ENTRY.unpack(raw)
        if kind not in (_CODEVIEW, _MISC, _EX_DLLCHARACTERISTICS):
            continue
        available = max(0, min(length, len(address_map.data) - pointer))
        begin = address_map.data[pointer : pointer + min(length, _MISC_HEADER)]
        needed = 0
        if kind == _CODEVIEW and begin[:4] in _PDB_HEADERS:
            needed = max(_PDB_HEADERS[begin[:4]], length)
        elif kind == _MISC:
            needed = _MISC_HEADER
            if available >= needed and begin[_MISC_UNICODE] in (0, 1):
                needed = length
        elif kind == _EX_DLLCHARACTERISTICS and available < 4:
            raise UnusualError("debug entry EX_DLLCHARACTERISTICS without its data")
        if available < needed:
            warnings.add("Corrupt header...")
    return warnings
