"""Damage to the data directories of a PE file."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from tests.support.fuzz.layout import PeLayout, Place, directory
from tests.support.fuzz.values import put_odd, put_odd_in

EXPORT, IMPORT, RESOURCE, EXCEPTION, SECURITY, RELOCATION = range(6)
DEBUG, TLS, LOAD_CONFIG, BOUND_IMPORT, DELAY_IMPORT = 6, 9, 10, 11, 13


def directory_entry(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    for _ in range(rng.choice((1, 1, 2))):
        put_odd(rng, data, layout.directories + 4 * rng.randrange(32), 4)


def directories_exchanged(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    """A directory where another is."""
    first, second = (layout.directories + 8 * n for n in rng.sample(range(16), 2))
    if max(first, second) + 8 <= len(data):
        data[first : first + 8] = data[second : second + 8]
        if rng.random() < 0.3:
            put_odd(rng, data, first + 4, 4)


def _aimed(rng: random.Random, data: bytearray, place: Place | None, most: int = 4096) -> None:
    if place is not None:
        start, size = place
        for _ in range(rng.choice((1, 1, 2, 4, 16))):
            # Mostly at the beginning, where what steers a reader is.
            length = min(size, rng.choice((20, 64, 300, most)))
            put_odd_in(rng, data, start, length)


def any_directory(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    there = [place for index in range(16) if (place := directory(data, layout, index))]
    _aimed(rng, data, rng.choice(there) if there else None)


def any_bytes_of(
    index: int,
) -> Callable[[random.Random, bytearray, PeLayout], None]:
    """Damage anywhere in one directory."""

    def mutation(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
        _aimed(rng, data, directory(data, layout, index))

    return mutation


def import_tables(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    """Thunks and names of one library."""
    place = directory(data, layout, IMPORT)
    if place is None:
        return
    entries = range(place[0], min(place[0] + max(20, place[1] - 20), len(data) - 19), 20)
    if not entries:
        return
    entry = rng.choice(entries)
    lookup, _, _, name, table = struct.unpack_from("<5I", data, entry)
    for _ in range(rng.choice((1, 3, 20))):
        kind = rng.randrange(5)
        start = layout.offset(rng.choice((lookup, table)))
        thunk = start + rng.choice((4, 8)) * rng.randrange(12)
        if kind == 0:
            put_odd(rng, data, thunk, rng.choice((4, 8)))
        elif kind == 1 and thunk + 8 <= len(data):
            data[thunk : thunk + 4] = data[start : start + 4]
        elif kind == 2 and thunk + 4 <= len(data):
            _spoil(rng, data, layout.offset(struct.unpack_from("<I", data, thunk)[0]) + 2)
        elif kind == 3:
            _spoil(rng, data, layout.offset(name))
        else:
            put_odd(rng, data, entry + 4 * rng.randrange(5), 4)


def export_tables(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    """Addresses, ordinals and names."""
    place = directory(data, layout, EXPORT)
    if place is None or place[0] + 40 > len(data):
        return
    tables = struct.unpack_from("<3I", data, place[0] + 28)
    for _ in range(rng.choice((1, 3, 20))):
        start = layout.offset(rng.choice(tables))
        if rng.random() < 0.5:
            put_odd(rng, data, start + 4 * rng.randrange(16), rng.choice((2, 4)))
        else:
            name = layout.offset(tables[1]) + 4 * rng.randrange(16)
            if name + 4 <= len(data):
                _spoil(rng, data, layout.offset(struct.unpack_from("<I", data, name)[0]))


def _spoil(rng: random.Random, data: bytearray, start: int) -> None:
    """A name with a character that does not belong there, without its end, or without anything."""
    if 0 <= start < len(data) - 8:
        place = start + rng.randrange(8)
        data[place] = rng.choice((0, 0x20, 0x7F, 0x80, 0xFF, 0xC3, 0x2E, 0x5C, rng.randrange(256)))


def resource_tree(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    """Names and targets along one way through the tables, down to the data."""
    place = directory(data, layout, RESOURCE)
    if place is None:
        return
    table = place[0]
    for _ in range(rng.choice((1, 2, 3, 3, 4))):
        if table + 16 > len(data):
            return
        count = min(sum(struct.unpack_from("<HH", data, table + 12)), 64)
        if not count:
            return
        entry = table + 16 + 8 * rng.randrange(count)
        if entry + 8 > len(data):
            return
        if rng.random() < 0.2:
            put_odd(rng, data, rng.choice((table + 12, table + 14)), 2)
        if rng.random() < 0.3:
            put_odd(rng, data, rng.choice((entry, entry + 4)), 4)
        (target,) = struct.unpack_from("<I", data, entry + 4)
        table = place[0] + (target & 0x7FFFFFFF)
        if not target & 0x80000000:
            _aimed(rng, data, (table, 16))
            return


def version_information(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    start = data.find("VS_VERSION_INFO".encode("utf-16-le"))
    if start < 0:
        return
    names = [start]
    for name in ("StringFileInfo", "VarFileInfo", "Translation", "CompanyName", "ProductVersion"):
        names.append(data.find(name.encode("utf-16-le"), start))
    for _ in range(rng.choice((1, 2, 4))):
        place = rng.choice([name for name in names if name >= 0])
        if rng.random() < 0.6:
            put_odd(rng, data, place - rng.choice((2, 4, 6)), 2)
        else:
            put_odd_in(rng, data, place - 6, rng.choice((40, 200, 1000)))


def relocation_blocks(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    place = directory(data, layout, RELOCATION)
    if place is None:
        return
    block, size = place
    end = min(block + size, len(data) - 8)
    for _ in range(rng.choice((1, 2, 8))):
        if block >= end:
            return
        if rng.random() < 0.6:
            put_odd_in(rng, data, block, 8)
        elif block + 12 < len(data):
            data[block + 10 : block + 12] = data[block + 8 : block + 10]
        block += max(8, min(struct.unpack_from("<I", data, block + 4)[0], size))


def unwind_information(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    place = directory(data, layout, EXCEPTION)
    if place is None:
        return
    for _ in range(rng.choice((1, 2, 8))):
        function = place[0] + 12 * rng.randrange(max(1, place[1] // 12))
        if function + 12 > len(data):
            return
        unwind = layout.offset(struct.unpack_from("<I", data, function + 8)[0])
        if rng.random() < 0.4:
            put_odd(rng, data, function + 4 * rng.randrange(3), 4)
        elif unwind + 4 <= len(data):
            put_odd(rng, data, unwind + rng.randrange(8), 1)
            if rng.random() < 0.3:
                data[unwind] = rng.choice((0x01, 0x21, 0x22, 0x0A, 0x02, 0xFF))


def certificate_table(rng: random.Random, data: bytearray, layout: PeLayout) -> None:
    place = directory(data, layout, SECURITY)
    if place is None:
        return
    kind = rng.randrange(6)
    if kind == 0:
        put_odd_in(rng, data, place[0], 8)
    elif kind == 1:
        put_odd(rng, data, layout.directories + 32 + 4 * rng.randrange(2), 4)
    elif kind in (4, 5):
        _spoil_der(rng, data, place)
    elif kind == 2:
        # Another table behind the first, in the room that the file has.
        again = bytes(data[place[0] : place[0] + place[1]])
        data += again
        struct.pack_into("<I", data, layout.directories + 36, len(data) - place[0])
    else:
        _aimed(rng, data, (place[0] + 8, place[1] - 8), 20_000)


def _spoil_der(rng: random.Random, data: bytearray, place: Place) -> None:
    """Tags, lengths and first bytes of what looks like values in DER; most of the rest is digests."""
    start, size = place
    tags = [n for n in range(start + 8, min(start + size, len(data) - 8)) if data[n] in _DER_TAGS]
    for _ in range(rng.choice((1, 1, 2, 3))):
        if not tags:
            return
        tag = rng.choice(tags)
        kind = rng.randrange(4)
        if kind == 0:
            data[tag] = rng.choice((*_DER_TAGS, data[tag] ^ 1 << rng.randrange(8)))
        elif kind == 1:
            put_odd(rng, data, tag + 1, rng.choice((1, 1, 2)))
        elif kind == 2:
            put_odd(rng, data, tag + 2 + rng.randrange(14), 1)
        else:
            del data[tag : tag + rng.randrange(1, 8)]


_DER_TAGS = b"\x30\x31\x02\x03\x04\x05\x06\x0c\x13\x16\x17\x18\x1e\xa0\xa1\xa2\xa3\x80\x82"


MUTATIONS = (
    directory_entry, directories_exchanged, any_directory, import_tables, export_tables,
    resource_tree, version_information, relocation_blocks, unwind_information, certificate_table,
)  # fmt: skip
DIRECTORIES = {
    "imports": IMPORT, "exports": EXPORT, "resources": RESOURCE, "debug": DEBUG, "tls": TLS,
    "load_config": LOAD_CONFIG, "bound_imports": BOUND_IMPORT, "delayed_imports": DELAY_IMPORT,
}  # fmt: skip
"""Those of which any byte may be damaged, too, by the name of that kind of damage."""
