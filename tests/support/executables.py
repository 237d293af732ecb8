"""Executables for tests: real ones that this environment brings, and a small PE built here."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path


def _folder(package: str) -> Path:
    # Found, not imported: setuptools replaces distutils when it is imported.
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


_LAUNCHERS = _folder("pip") / "_vendor" / "distlib"


def real_pes() -> list[Path]:
    """The launchers inside pip and setuptools."""
    found = [*_LAUNCHERS.glob("*.exe"), *_folder("setuptools").glob("*.exe")]
    assert found
    return sorted(found)


def real_elfs() -> list[Path]:
    """A program, and shared libraries of numpy."""
    libraries = sorted(_folder("numpy").joinpath("_core").glob("_*_tests*.so"))
    assert libraries
    return [Path("/bin/true"), *libraries]


def launcher(name: str = "t64.exe") -> bytes:
    return (_LAUNCHERS / name).read_bytes()


def small_pe() -> bytes:
    """A PE32+ of one section that imports nothing and does nothing: 1,024 bytes, the same for ever."""
    dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
    coff = struct.pack("<HHIIIHH", 0x8664, 1, 1_600_000_000, 0, 0, 240, 0x22)
    optional = struct.pack(
        "<HBBIIIIIQIIHHHHHHIIIIHHQQQQII",
        0x20B, 14, 1, 512, 0, 0, 0x1000, 0x1000, 0x140000000, 0x1000, 0x200, 6, 0, 1, 2, 6, 0, 0,
        0x2000, 0x200, 0, 3, 0x8160, 0x100000, 0x1000, 0x100000, 0x1000, 0, 16,
    )  # fmt: skip
    section = struct.pack("<8sIIIIIIHHI", b".text", 1, 0x1000, 512, 512, 0, 0, 0, 0, 0x60000020)
    headers = dos + b"PE\0\0" + coff + optional + bytes(128) + section
    return headers.ljust(512, b"\0") + b"\xc3".ljust(512, b"\xcc")
