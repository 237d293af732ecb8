"""Exports of a PE file, as pefile 2024.8.26 reads them.

The reader raises `Unusual` where pefile would meet something broken. Its limits on the number of
symbols stay in force: large libraries reach them.
"""

from __future__ import annotations

import struct
from collections import Counter

from corpus.features.ember_v3.sections import AddressMap
from corpus.features.ember_v3.unusual import Unusual

MAX_SYMBOLS = 0x2000
_MAX_NAME = 0x200
_MAX_REPEATED_NAMES = 10
_MAX_REPEATED_ADDRESSES = 120
_DIRECTORY = struct.Struct("<12x7I")
_SIZE = 40
_NAME = (
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    b"!\"#$%&'()*+,-./:<>?[\\]^_`{|}~@"
)
_CORRUPT = "...Assuming corrupt."


def exports(
    addresses: AddressMap, rva: int, size: int, virtual_addresses: list[int], raw_lengths: list[int]
) -> tuple[list[str], set[str]]:
    """Names of the exports, "ordinalN" for those without one, and warnings.

    For each section its VirtualAddress and the number of its bytes in the file are given. Raises
    `Unusual` or `OutOfFile`.
    """
    directory = addresses.read(rva, _SIZE)
    if len(directory) < _SIZE:
        raise Unusual("the export directory is cut off")
    if not any(directory):
        return [], set()
    fields = _DIRECTORY.unpack(directory)
    _, base, n_functions, n_names, functions_rva, names_rva, ordinals_rva = fields

    def table(start: int, count: int) -> bytes:
        length = min(len(addresses.data) - addresses.offset(start), count * 4)
        return addresses.read(start, length)

    def bound(start: int) -> int:
        section = addresses.section(start)
        if section < 0:
            return len(addresses.data) // 4
        return int((virtual_addresses[section] + raw_lengths[section] - start) / 4)

    names = table(names_rva, n_names)
    ordinals = table(ordinals_rva, n_names)
    functions = table(functions_rva, n_functions)
    n_named = min(n_names, bound(names_rva))
    n_addresses = len(functions) // 4
    if len(ordinals) < 2 * n_named or len(names) < 4 * n_named or n_addresses < n_functions:
        raise Unusual("tables of the export directory are cut off")
    for start, length in ((ordinals_rva, 2 * n_named), (functions_rva, 4 * n_functions)):
        if length > 0 and addresses.section(start) != addresses.section(start + length - 1):
            raise Unusual("a table of the export directory crosses a section's end")
    address_of = struct.unpack_from(f"<{n_addresses}I", functions)
    ordinal_of = struct.unpack_from(f"<{max(0, n_named)}H", ordinals)
    name_of = struct.unpack_from(f"<{max(0, n_named)}I", names)

    found: list[str] = []
    warnings: set[str] = set()
    named: set[int] = set()
    repeated: Counter[tuple[bytes, int]] = Counter()
    for ordinal, name_rva in zip(ordinal_of, name_of, strict=True):
        if ordinal >= n_addresses:
            raise Unusual("an ordinal of an export beyond its table")
        address = address_of[ordinal]
        if not address:
            continue
        if rva <= address < rva + size and addresses.section(address) < 0:
            raise Unusual("a forwarded export outside of the sections")
        name = addresses.string(name_rva, _MAX_NAME)
        if name.translate(None, _NAME) or addresses.section(name_rva) < 0:
            raise Unusual("the name of an export is invalid")
        key = (name, address)
        repeated[key] += 1
        if repeated[key] > _MAX_REPEATED_NAMES or len(repeated) > MAX_SYMBOLS:
            warnings.add(_CORRUPT)
            break
        named.add(ordinal)
        found.append(name.decode() if name else f"ordinal{base + ordinal}")
    seen: Counter[int] = Counter()
    for index in range(min(n_functions, bound(functions_rva))):
        address = address_of[index]
        if index in named or not address:
            continue
        seen[address] += 1
        if seen[address] > _MAX_REPEATED_ADDRESSES or len(seen) > MAX_SYMBOLS:
            warnings.add(_CORRUPT)
            break
        found.append(f"ordinal{base + index}")
    return found, warnings
