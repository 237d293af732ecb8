"""What a file is, told by its content; names and suffixes are never asked.

Only `pe` and `elf` are taken as samples. The other types are there for the record, and to find
archives. Sources: Microsoft's PE format specification, the System V gABI (ELF), Apple's
mach-o/loader.h and fat.h, POSIX pax (ustar), and the magic numbers of the formats' own documents.
"""

from __future__ import annotations

import struct

EXECUTABLES = ("pe", "elf")
ARCHIVES = ("zip", "tar", "gzip", "bzip2", "xz", "zstd")

# Bytes from the start of a file that tell its type, but for a PE whose header lies further back.
HEAD = 4096

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08", "zip"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"MSCF\x00\x00\x00\x00", "cab"),
    (b"\xfe\xed\xfa\xce", "macho"),
    (b"\xfe\xed\xfa\xcf", "macho"),
    (b"\xce\xfa\xed\xfe", "macho"),
    (b"\xcf\xfa\xed\xfe", "macho"),
    (b"%PDF-", "pdf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"{\\rtf", "rtf"),
    (b"dex\n", "dex"),
    (b"\x00asm", "wasm"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "lnk"),
    (b"!<arch>\n", "ar"),
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"\x00\x00\x01\x00", "image"),
    (b"#!", "script"),
)

_PE_ARCH = {
    0x014C: "x86", 0x8664: "x86_64", 0xAA64: "arm64", 0xA641: "arm64ec", 0xA64E: "arm64x",
    0x01C0: "arm", 0x01C2: "arm", 0x01C4: "arm", 0x0200: "ia64", 0x0EBC: "efi_bytecode",
    0x5032: "riscv32", 0x5064: "riscv64", 0x6232: "loongarch32", 0x6264: "loongarch64",
    0x0166: "mips", 0x01F0: "ppc", 0x01F1: "ppc", 0x01A2: "sh", 0x01A6: "sh",
}  # fmt: skip

_ELF_ARCH = {
    3: "x86", 62: "x86_64", 40: "arm", 183: "arm64", 8: "mips", 10: "mips", 20: "ppc", 21: "ppc64",
    22: "s390", 2: "sparc", 18: "sparc", 43: "sparc64", 4: "m68k", 42: "sh", 50: "ia64", 93: "arc",
    195: "arc", 243: "riscv", 258: "loongarch", 247: "bpf",
}  # fmt: skip


def of(data: bytes) -> str:
    """Type of a file, from all of it or from its first `HEAD` bytes.

    `pe` needs the header that `MZ` points at to be in `data`; without one it is `dos`. `empty` is a
    file of 0 bytes, `text` one that is UTF-8 (or UTF-16 with a byte order mark) without control
    characters, `other` the rest.
    """
    if not data:
        return "empty"
    if data[:2] == b"MZ":
        return "pe" if _pe_header(data) is not None else "dos"
    if data[:4] == b"\x7fELF":
        return "elf" if len(data) >= 20 and data[4] in (1, 2) and data[5] in (1, 2) else "other"
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:3] == b"BZh" and data[4:10] in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"):
        return "bzip2"
    if data[:4] == b"\xca\xfe\xba\xbe" and len(data) >= 8:
        # Java took the same magic; its version (45 and up) stands where Mach-O counts its parts.
        return "macho" if int.from_bytes(data[4:8], "big") < 45 else "java"
    if _is_tar(data[:512]):
        return "tar"
    return "text" if _is_text(data[:HEAD]) else "other"


def arch(data: bytes) -> str | None:
    """Processor of a PE or ELF file, from its header; None if it is not known."""
    kind = of(data)
    if kind == "pe":
        machine = struct.unpack_from("<H", data, (_pe_header(data) or 0) + 4)[0]
        return _PE_ARCH.get(machine)
    if kind == "elf":
        order = "<" if data[5] == 1 else ">"
        name = _ELF_ARCH.get(struct.unpack_from(order + "H", data, 18)[0])
        is_64 = data[4] == 2
        if name in ("riscv", "loongarch"):
            return name + ("64" if is_64 else "32")
        return {"mips": "mips64", "s390": "s390x"}.get(name, name) if is_64 and name else name
    return None


def _pe_header(data: bytes) -> int | None:
    if len(data) < 64:
        return None
    offset = int(struct.unpack_from("<I", data, 0x3C)[0])
    whole = offset + 24 <= len(data)
    return offset if whole and data[offset : offset + 4] == b"PE\x00\x00" else None


def _is_tar(block: bytes) -> bool:
    """Whether a block is a tar header: its checksum says so, in every dialect of tar."""
    if len(block) < 512 or not any(block):
        return False
    try:
        stored = int(block[148:156].strip(b"\x00 ") or b"x", 8)
    except ValueError:
        return False
    return stored == sum(block[:148]) + 8 * 0x20 + sum(block[156:])


def _is_text(head: bytes) -> bool:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        # The head may end in the middle of a character.
        if error.start < len(head) - 3 or error.reason != "unexpected end of data":
            return False
        text = head[: error.start].decode()
    return not any(c < " " and c not in "\t\n\r\f\x1b" for c in text)
