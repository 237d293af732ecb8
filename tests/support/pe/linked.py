"""PE files that export or import, built around that one directory."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tests.support.pe.built import SECTION as RVA
from tests.support.pe.built import pe_file


def exporting(names: Sequence[bytes], *, repeat: int = 1) -> bytes:
    """A library that exports these names, each at the same address, `repeat` times."""
    names = list(names) * repeat
    count = len(names)
    functions = RVA + 40
    pointers = functions + 4
    ordinals = pointers + 4 * count
    texts = ordinals + 2 * count
    content = struct.pack(
        "<12x7I", 0, 1, 1, count, functions, pointers, ordinals
    ) + struct.pack("<I", RVA)  # fmt: skip
    places = []
    blob = b""
    for name in names:
        places.append(texts + len(blob))
        blob += name + b"\0"
    content += struct.pack(f"<{count}I", *places) + bytes(2 * count) + blob
    return pe_file(content, 0, RVA, 40)


def importing(*libraries: tuple[bytes, Sequence[bytes | int]]) -> bytes:
    """A program with one descriptor for each library, and its functions by name or ordinal."""
    content = bytearray(20 * (len(libraries) + 1))
    for index, (library, functions) in enumerate(libraries):
        thunks = []
        for function in functions:
            if isinstance(function, int):
                thunks.append(1 << 63 | function)
            else:
                thunks.append(RVA + len(content))
                content += b"\0\0" + function + b"\0"
        name = RVA + len(content)
        content += library + b"\0"
        content += bytes(-len(content) % 8)
        table = RVA + len(content)
        content += struct.pack(f"<{len(thunks) + 1}Q", *thunks, 0)
        struct.pack_into("<5I", content, 20 * index, table, 0, 0, name, table)
    return pe_file(bytes(content), 1, RVA, len(content))
