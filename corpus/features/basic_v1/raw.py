"""The raw features of `basic-v1`: what is read of a file, before it becomes numbers."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from corpus.features.basic_v1 import elf, pe
from corpus.features.basic_v1.content import byte_counts, entropy_bits
from corpus.features.basic_v1.executable import Executable

_COUNTS = ("imports", "exports", "overlay")
_PROPERTIES = tuple(f.name for f in fields(Executable) if f.name.startswith(("is_", "has_")))


def raw(data: bytes) -> dict[str, Any]:
    """Raw features of any bytes; `pe`, `elf`, `sections` and `imports` are empty for others."""
    histogram, joint = (counts.tolist() for counts in byte_counts(data))
    is_pe, is_elf = data.startswith(b"MZ"), data.startswith(b"\x7fELF")
    executable = pe.read(data) if is_pe else elf.read(data) if is_elf else None
    general: dict[str, Any] = {
        "size": len(data),
        "entropy": entropy_bits(histogram),
        "is_pe": is_pe,
        "is_elf": is_elf,
        "parsed": executable is not None,
    }
    for name in (*_COUNTS, *_PROPERTIES):
        general[name] = getattr(executable, name, 0 if name in _COUNTS else False)
    return {
        "general": general,
        "histogram": histogram,
        "byteentropy": joint,
        "pe": executable.header if executable and is_pe else None,
        "elf": executable.header if executable and is_elf else None,
        "sections": executable.sections_as_dicts() if executable else [],
        "imports": {
            "libraries": executable.libraries if executable else [],
            "functions": executable.functions if executable else [],
        },
    }
