"""What a sample is: type, processor, TLSH and import hash. Reads hostile bytes: run it in a sandbox."""

from __future__ import annotations

from typing import Any

from corpus.sources import filetype

# Not imported by those who only name the function, but before a child of the sandbox sees a file.
LOADED_FIRST = ("lief", "tlsh")
# Below it the TLSH library gives no digest.
_TLSH_MIN_BYTES = 50
# Characters of a digest.
_LONGEST = 72


def identify(data: bytes) -> dict[str, Any]:
    """`file_type`, `arch`, `tlsh` and `imphash` of a file, as JSON can hold them.

    `tlsh` is None under 50 bytes or without enough variety, `imphash` for what is not a PE or
    imports nothing.
    """
    kind = filetype.of(data)
    return {
        "file_type": kind,
        "arch": filetype.arch(data),
        "tlsh": tlsh_of(data),
        "imphash": imphash_of(data) if kind == "pe" else None,
    }


def is_identity(answer: Any) -> bool:
    """Whether what was answered for an identity has its fields: the child has read a hostile file."""
    return (
        isinstance(answer, dict)
        and answer.keys() == {"file_type", "arch", "tlsh", "imphash"}
        and isinstance(answer["file_type"], str)
        and all(_is_text(value) for value in answer.values())
    )


def _is_text(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.isascii() and len(value) <= _LONGEST)


def tlsh_of(data: bytes) -> str | None:
    """TLSH digest (72 characters, `T1...`) of the bytes (Oliver, Cheng, Chen 2013)."""
    if len(data) < _TLSH_MIN_BYTES:
        return None
    import tlsh

    digest = str(tlsh.hash(data))
    return digest if digest.startswith("T1") else None


def imphash_of(data: bytes) -> str | None:
    """MD5 of a PE's imports in their order, by pefile's definition (Mandiant 2014)."""
    import lief

    lief.logging.disable()
    config = lief.PE.ParserConfig()
    for part in ("parse_signature", "parse_exports", "parse_rsrc", "parse_reloc"):
        setattr(config, part, False)
    for part in ("parse_exceptions", "parse_arm64x_binary"):
        setattr(config, part, False)
    binary = lief.PE.parse(data, config)
    if binary is None or not any(len(library.entries) for library in binary.imports):
        return None
    return str(lief.PE.get_imphash(binary, lief.PE.IMPHASH_MODE.PEFILE)) or None
