"""Exports of a PE file, as pefile 2024.8.26 reads them.

The reader raises `UnusualError` if pefile would meet something broken. Its limits on the number of
symbols stay in force: large libraries reach them.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Hashable, Sequence

from corpus.features.ember_v3.pe.sections import AddressMap
from corpus.features.ember_v3.pe.unusual import UnusualError

MAX_SYMBOLS = 0x2000
_MOST = 1 << 16
_MAX_NAME = 0x200
_MAX_REPEATED_NAMES = 10
_MAX_REPEATED_ADDRESSES = 120
# Kinds of warnings, or as much of pefile's text as tells them.
_TOO_MANY_NAMES = "...symbol entries. Assuming corrupt."
_REPEATED_NAMES = "Export directory contains more than 10 repeated entries. Assuming corrupt."
_TOO_MANY_ORDINALS = "...ordinal entries. Assuming corrupt."
_REPEATED_ORDINALS = "...Assuming corrupt."
_DIRECTORY = struct.Struct("<12x7I")
_SIZE = 40
_NAME = (
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    b"!\"#$%&'()*+,-./:<>?[\\]^_`{|}~@"
)


def exports(
    addresses: AddressMap, rva: int, size: int, virtual_addresses: list[int], raw_lengths: list[int]
) -> tuple[list[str], set[str]]:
    """Names of the exports, "ordinalN" for those without one, and warnings.

    For each section its VirtualAddress and the number of its bytes in the file are given. Raises
    `UnusualError` or `OutOfFileError`.
    """
    directory = addresses.read(rva, _SIZE)
    if len(directory) < _SIZE:
        raise UnusualError("the export directory is cut off")
    if not any(directory):
        return [], set()
    fields = _DIRECTORY.unpack(directory)
    _, base, n_functions, n_names, functions_rva, names_rva, ordinals_rva = fields
    if max(n_functions, n_names) > _MOST:
        raise UnusualError("more exports than there are ordinals")

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
    n_named = max(0, min(n_names, bound(names_rva)))
    n_addresses = len(functions) // 4
    if len(ordinals) < 2 * n_named or len(names) < 4 * n_named or n_addresses < n_functions:
        raise UnusualError("tables of the export directory are cut off")
    for start, length in ((ordinals_rva, 2 * n_named), (functions_rva, 4 * n_functions)):
        if length > 0 and addresses.section(start) != addresses.section(start + length - 1):
            raise UnusualError("a table of the export directory crosses a section's end")
    address_of = struct.unpack_from(f"<{n_addresses}I", functions)
    ordinal_of = struct.unpack_from(f"<{n_named}H", ordinals)
    name_of = struct.unpack_from(f"<{n_named}I", names)

    if n_named and max(ordinal_of) >= n_addresses:
        raise UnusualError("an ordinal of an export beyond its table")
    warnings: set[str] = set()
    used = [
        (address, ordinal, name_rva)
        for ordinal, name_rva in zip(ordinal_of, name_of, strict=True)
        if (address := address_of[ordinal])
    ]
    if any(rva <= one[0] < rva + size and addresses.section(one[0]) < 0 for one in used):
        raise UnusualError("a forwarded export outside of the sections")
    texts = addresses.strings((name_rva for _, _, name_rva in used), _MAX_NAME)
    if b"".join(texts).translate(None, _NAME):
        raise UnusualError("the name of an export is invalid")
    named_symbols = list(zip(texts, (address for address, _, _ in used), strict=True))
    kept = _within(named_symbols, _MAX_REPEATED_NAMES)
    if kept < len(used):
        too_many = len(set(named_symbols[: kept + 1])) > MAX_SYMBOLS
        warnings.add(_TOO_MANY_NAMES if too_many else _REPEATED_NAMES)
    found = [
        text.decode() if text else f"ordinal{base + ordinal}"
        for text, (_, ordinal, _) in zip(texts[:kept], used, strict=False)
    ]
    named = {ordinal for _, ordinal, _ in used[:kept]}
    rest = [
        index
        for index, address in enumerate(
            address_of[: max(0, min(n_functions, bound(functions_rva)))]
        )
        if address and index not in named
    ]
    unnamed = [address_of[index] for index in rest]
    kept = _within(unnamed, _MAX_REPEATED_ADDRESSES)
    if kept < len(rest):
        too_many = len(set(unnamed[: kept + 1])) > MAX_SYMBOLS
        warnings.add(_TOO_MANY_ORDINALS if too_many else _REPEATED_ORDINALS)
    found += [f"ordinal{base + index}" for index in rest[:kept]]
    return found, warnings


def _within(symbols: Sequence[Hashable], most_repeated: int) -> int:
    """How many of the symbols come before one too many, of one kind or of kinds."""
    if len(set(symbols)) == len(symbols):
        return min(len(symbols), MAX_SYMBOLS)
    seen: Counter[Hashable] = Counter()
    for index, symbol in enumerate(symbols):
        seen[symbol] += 1
        if seen[symbol] > most_repeated or len(seen) > MAX_SYMBOLS:
            return index
    return len(symbols)
