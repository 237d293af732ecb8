"""PE files built around one directory, at random and out of order, and the two readers' answers."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Any

import pefile

from corpus.features.ember_v3.pe.bound_imports import bound_imports
from corpus.features.ember_v3.pe.debug import debug
from corpus.features.ember_v3.pe.load_config import load_config, tls
from corpus.features.ember_v3.pe.resources import resources
from corpus.features.ember_v3.pefile_compat.bounded_pe import address_map
from corpus.features.ember_v3.pefile_compat.format_warnings import kinds

EXPORT, IMPORT, RESOURCE, DEBUG, TLS, LOAD_CONFIG, BOUND_IMPORT = 0, 1, 2, 6, 9, 10, 11
SECTION = 0x1000
_HEADERS = 0x400

Answer = tuple[set[str], bool]
"""Kinds of warnings, and whether there are dynamic relocations."""


def pe_file(
    content: bytes,
    index: int,
    rva: int,
    size: int,
    *,
    plus: bool = True,
    virtual_size: int = 0,
    headers: bytes = b"",
) -> bytes:
    """A PE file with one directory. `content` is its section, `headers` what follows the headers."""
    raw_size = -(-len(content) // 512) * 512
    fields = (
        "<HBBIIIII"
        + ("Q" if plus else "II")
        + "IIHHHHHHIIIIHH"
        + ("QQQQ" if plus else "IIII")
        + "II"
    )
    base = (0x140000000,) if plus else (0, 0x400000)
    optional = struct.pack(
        fields,
        0x20B if plus else 0x10B, 14, 1, 512, 0, 0, SECTION, SECTION, *base, 0x1000, 0x200, 6, 0, 1, 2, 6, 0, 0,
        0x3000, _HEADERS, 0, 3, 0x8160, 0x100000, 0x1000, 0x100000, 0x1000, 0, 16,
    )  # fmt: skip
    directories = bytearray(128)
    struct.pack_into("<II", directories, 8 * index, rva, size)
    machine = 0x8664 if plus else 0x14C
    coff = struct.pack("<HHIIIHH", machine, 1, 0, 0, 0, len(optional) + 128, 0x22)
    section = struct.pack(
        "<8sIIIIIIHHI", b".rsrc", virtual_size, SECTION, raw_size, _HEADERS, 0, 0, 0, 0, 0x40000040
    )
    dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
    start = dos + b"PE\0\0" + coff + optional + directories + section
    start = start.ljust(_HEADERS - len(headers), b"\0") + headers
    return start.ljust(_HEADERS, b"\0") + content.ljust(raw_size, b"\0")


def exports_file(functions: int, names: int) -> bytes:
    """2 MB of exports: the directory at the beginning of the section, tables of zeros behind it."""
    content = struct.pack("<12x7I", SECTION, 1, functions, names, *[SECTION + 64] * 3)
    return pe_file(content + bytes(2_000_000), EXPORT, SECTION, 40, virtual_size=2_000_064)


def load(data: bytes) -> pefile.PE:
    return pefile.PE(data=data, fast_load=True)


def expected(pe: pefile.PE, index: int) -> Answer | str:
    """What pefile makes of one directory; the name of an exception that escapes from it."""
    before = len(pe.get_warnings())
    try:
        pe.parse_data_directories(directories=[index])
    except Exception as error:
        return type(error).__name__
    return kinds(pe.get_warnings()[before:]), index == LOAD_CONFIG and pe.has_dynamic_relocs()


def answer(pe: pefile.PE, index: int) -> Answer:
    """What the fast reader makes of it. Raises UnusualError."""
    addresses = address_map(pe)
    directory = pe.OPTIONAL_HEADER.DATA_DIRECTORY[index]
    place = directory.VirtualAddress, directory.Size
    plus = pe.PE_TYPE == pefile.OPTIONAL_HEADER_MAGIC_PE_PLUS
    if index == LOAD_CONFIG:
        starts = [section.VirtualAddress for section in pe.sections]
        found, warnings = load_config(
            addresses, place[0], plus, starts, pe.OPTIONAL_HEADER.SizeOfImage
        )
        return warnings, found
    readers: dict[int, Callable[[], set[str]]] = {
        RESOURCE: lambda: resources(addresses, *place),
        DEBUG: lambda: debug(addresses, *place),
        TLS: lambda: tls(addresses, place[0], plus),
        BOUND_IMPORT: lambda: bound_imports(
            addresses, place[0], [(s.PointerToRawData, s.SizeOfRawData) for s in pe.sections]
        ),
    }
    return kinds(readers[index]()), False


def mutated(rng: random.Random, data: bytes, start: int, stop: int) -> bytes:
    """A copy with a few bytes between two offsets changed, or cut off there."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        position = rng.randrange(start, min(stop, len(data)))
        size = rng.choice((1, 2, 4))
        here = int.from_bytes(changed[position : position + size], "little")
        value = rng.choice(
            (0, 1, 0xFFFFFFFF, rng.getrandbits(32), here ^ 1 << rng.randrange(8 * size),
             here + rng.choice((-0x1000, -8, -4, -1, 1, 4, 8, 0x1000)))
        )  # fmt: skip
        changed[position : position + size] = (value % (1 << 8 * size)).to_bytes(size, "little")
    if rng.random() < 0.1:
        del changed[rng.randrange(start, min(stop, len(data))) :]
    return bytes(changed[: len(data)])


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def version_resource(rng: random.Random) -> bytes:
    """VS_VERSIONINFO with odd alphabets and lengths that need not be right."""

    def block(key: str, kind: int, value: bytes, value_length: int, *inner: bytes) -> bytes:
        head = _utf16(key) + b"\0\0"
        head += bytes(-(6 + len(head)) % 4) + value
        for child in inner:
            head += bytes(-(6 + len(head)) % 4) + child
        length = 6 + len(head)
        if rng.random() < 0.03:
            length = rng.choice((0, 1, length - 4, length + 4, 4 * length, 0xFFFF))
        return struct.pack("<HHH", max(length, 0), value_length, kind) + head

    def string() -> bytes:
        key = rng.choice(("CompanyName", "Größe", "名前", "\ud83dx", "", "k" * 200))
        value = rng.choice(("", "1.0", "Ünïcode", "v" * 130))
        return block(key, 1, _utf16(value) + b"\0\0", len(value) + rng.choice((0, 1, 1, 900)))

    def table() -> bytes:
        return block("040904b0", 1, b"", 0, *(string() for _ in range(rng.randrange(4))))

    strings = block("StringFileInfo", 1, b"", 0, *(table() for _ in range(rng.randrange(3))))
    variable = block("Translation", 0, b"\x09\x04\xb0\x04", 4)
    variables = block("VarFileInfo", 1, b"", rng.choice((0, 0, 3)), variable)
    key = rng.choice(("VS_VERSION_INFO",) * 9 + ("VS_VERSION_INFÖ. Assuming corrupt.", "V" * 129))
    fixed = struct.pack("<I", 0xFEEF04BD) + bytes(48)
    inner = [strings, variables]
    rng.shuffle(inner)
    return block(key, 0, fixed, len(fixed), *inner)


def resource_section(rng: random.Random) -> bytes:
    """A section whose tables point at tables, names and data wherever there might be some."""
    content = bytearray(4096)
    tables = [16 * number for number in range(0, 64, 4)]
    for table in tables:
        count = rng.choice((0, 1, 1, 2, 3, 6))
        named = rng.randrange(count + 1)
        if rng.random() < 0.005:
            named = rng.choice((4000, 5000))
        struct.pack_into("<12xHH", content, table, named, count - min(named, count))
        for entry in range(table + 16, table + 16 + 8 * count, 8):
            name = rng.choice((6, 16, 1, 1033, 0x80000000 | rng.randrange(1024, 1200)))
            target = rng.choice(
                (0x80000000 | rng.choice(tables), 0x80000000 | rng.choice(tables),
                 1280 + 16 * rng.randrange(16), 1280 + 16 * rng.randrange(16),
                 rng.choice((0x80000FF8, 4090, 0x3000, 0x80003000)))
            )  # fmt: skip
            if rng.random() < 0.02:
                name = 0x80000000 | rng.choice((0x3000, 4095, 4094, 0x10))
            struct.pack_into("<II", content, entry, name, target)
    if rng.random() < 0.5:
        # The first is what linkers write: a version, by number and language.
        for table, name, target in ((0, 16, 0x80000040), (64, 1, 0x80000080), (128, 1033, 1280)):
            struct.pack_into("<12xHHII", content, table, 0, 1, name, target)
    for name in range(1024, 1200, 2):
        struct.pack_into("<H", content, name, rng.choice((0, 1, 2, 8, 40, 300, 3000)))
    version = version_resource(rng) + bytes(4)
    content[1536:] = version.ljust(2560, rng.choice((b"\0", b"x")))
    for number in range(16):
        address = SECTION + rng.choice((1536,) * 12 + (4000, 0x3000, 0x10000))
        size = rng.choice((100, len(content) - 1536, 600, 10))
        struct.pack_into("<IIII", content, 1280 + 16 * number, address, size, 0, 0)
    return bytes(content)


def dynamic_relocations(rng: random.Random, plus: bool) -> bytes:
    """A section with a load configuration at 0 and a table of dynamic relocations at 512."""

    def blocks() -> bytes:
        parts = []
        for _ in range(rng.randrange(3)):
            entries = struct.pack(
                "<4H", *(rng.randrange(0x3000) >> rng.choice((0, 9)) for _ in range(4))
            )
            parts.append(
                struct.pack("<II", rng.choice((0, 0x1000, 0x1000, 0x9000)), 8 + len(entries))
                + entries
            )
        return b"".join(parts)

    def override() -> bytes:
        rvas, listed = bytes(4 * rng.randrange(3)), blocks()
        return struct.pack("<IIII", 0x1000, 0, len(rvas), len(listed)) + rvas + listed

    def relocation() -> bytes:
        symbol = rng.choice((1, 2, 3, 4, 5, 6, 7, 7, 7, 0x1234))
        listed = blocks()
        if symbol == 7:
            overrides = b"".join(override() for _ in range(rng.randrange(3)))
            pairs = bytes(8 * rng.randrange(3))
            listed = struct.pack("<I", len(overrides)) + overrides
            listed += struct.pack("<II", 1, len(pairs)) + pairs
        return struct.pack("<QI" if plus else "<II", symbol, len(listed)) + listed

    table = b"".join(relocation() for _ in range(rng.randrange(4)))
    size = rng.choice((320, 320, 192, 192, 0, 0, 256, 148, 112, 140))
    content = bytearray(struct.pack("<I", size).ljust(512, b"\0"))
    # Every so often at the section's end, so that what reads on leaves it.
    content += bytes(rng.choice((0, -(8 + len(table)) % 512)))
    where = len(content), rng.choice((1,) * 10 + (0, 2))
    struct.pack_into("<IH", content, 224 if plus else 136, *where)
    version = rng.choice((1,) * 19 + (2,))
    content += struct.pack("<II", version, len(table) + rng.choice((0, 0, 0, 1, 40))) + table
    return bytes(content)


def debug_section(rng: random.Random) -> bytes:
    entries = []
    for _ in range(5):
        kind = rng.choice((1, 2, 2, 2, 4, 4, 12, 13, 20))
        size = (
            rng.choice((4, 4, 12, 24, 40)) if rng.random() < 0.8 else rng.choice((0, 10, 20, 2000))
        )
        pointer = _HEADERS + rng.choice((200, 260, 320) * 5 + (500, 510, 0x10000))
        entries.append(struct.pack("<12xIIII", kind, size, 0, pointer))
    content = bytearray(b"".join(entries).ljust(512, b"\0"))
    content[200:204], content[260:264], content[500:504] = b"RSDS", b"NB10", b"RSDS"
    content[328] = rng.choice((0, 1, 2))
    return bytes(content)


def bound_descriptors(rng: random.Random) -> bytes:
    """Descriptors of bound imports and the names they point at, 160 bytes."""
    descriptors = bytearray(160)
    position = 0
    for _ in range(rng.randrange(4)):
        forwarders = rng.choice((0, 0, 1, 2))
        for count in (forwarders, *(0 for _ in range(forwarders))):
            name = rng.choice((120, 130, 140, 150, 155, 0x8000))
            struct.pack_into("<IHH", descriptors, position, rng.getrandbits(8), name, count)
            position += 8
    descriptors[120:160] = b"KERNEL32.dll\0\0msv\x80rt.dll\0NTDLL.DLL\0".ljust(40, b"x")
    return bytes(descriptors)


def built(rng: random.Random, index: int) -> tuple[bytes, int, int]:
    """A file around one directory, and the range of its bytes that are worth changing."""
    plus = rng.random() < 0.5
    if index == BOUND_IMPORT:
        descriptors = bound_descriptors(rng)
        if rng.random() < 0.3:
            data = pe_file(descriptors, index, _HEADERS, 100, plus=plus)
            return data, _HEADERS, _HEADERS + len(descriptors)
        start = _HEADERS - len(descriptors)
        content = bytes(rng.choice((0, 512)))
        return pe_file(content, index, start, 100, plus=plus, headers=descriptors), start, _HEADERS
    makers: dict[int, Any] = {
        RESOURCE: resource_section,
        DEBUG: debug_section,
        TLS: lambda rng: bytes(rng.choice((24, 40, 512))),
        LOAD_CONFIG: lambda rng: dynamic_relocations(rng, plus),
    }
    content = makers[index](rng)
    size = 140 if index == DEBUG else len(content)
    start = rng.choice((0, 0, 0, 500)) if index == TLS else 0
    virtual_size = rng.choice((0, 0x1F00))
    data = pe_file(content, index, SECTION + start, size, plus=plus, virtual_size=virtual_size)
    return data, _HEADERS, _HEADERS + max(len(content), 1)
