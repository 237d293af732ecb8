from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from corpus.sources import filetype
from tests.support.executables import launcher, real_elfs, real_pes, small_pe

pytestmark = pytest.mark.fast


def elf(machine: int, bits: int = 64, order: str = "<") -> bytes:
    ident = b"\x7fELF" + bytes([2 if bits == 64 else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    return ident + struct.pack(order + "HHI", 2, machine, 1) + bytes(40)


def of_machine(machine: int) -> bytes:
    data = bytearray(small_pe())
    struct.pack_into("<H", data, 68, machine)
    return bytes(data)


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"a")
    return buffer.getvalue()


@pytest.mark.parametrize("path", real_pes() + real_elfs(), ids=lambda path: path.name)
def test_real_executables_by_their_head(path: Path) -> None:
    head = path.read_bytes()[: filetype.HEAD]
    assert filetype.of(head) == ("pe" if path.suffix == ".exe" else "elf")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "empty"),
        (b"MZ", "dos"),
        (b"MZ" + bytes(200), "dos"),
        (launcher()[:64], "dos"),
        (b"\x7fELF", "other"),
        (b"\x7fELF\x09\x01" + bytes(60), "other"),
        (b"#!/bin/sh\n", "script"),
        (b"%PDF-1.7\n", "pdf"),
        (b"\xca\xfe\xba\xbe\x00\x00\x00\x02" + bytes(40), "macho"),
        (b"\xca\xfe\xba\xbe\x00\x00\x00\x3d" + bytes(40), "java"),
        (b"\xcf\xfa\xed\xfe" + bytes(28), "macho"),
        (gzip.compress(b"x", mtime=0), "gzip"),
        (zipped(), "zip"),
        (b"PK\x05\x06" + bytes(18), "zip"),
        (tar(), "tar"),
        (bytes(1024), "other"),
        ("grüße\r\n".encode() * 1000, "text"),
        (("a" + "ü" * 4000).encode()[:4096], "text"),
        ("x".encode("utf-16"), "text"),
        (b"\xff\x00\x80" * 9, "other"),
    ],
)
def test_types(data: bytes, kind: str) -> None:
    assert filetype.of(data) == kind


@pytest.mark.parametrize(
    ("data", "arch"),
    [
        (of_machine(0x14C), "x86"),
        (of_machine(0x8664), "x86_64"),
        (of_machine(0xAA64), "arm64"),
        (of_machine(0x1C4), "arm"),
        (of_machine(0xFFFF), None),
        (elf(3, 32), "x86"),
        (elf(62), "x86_64"),
        (elf(183), "arm64"),
        (elf(8, 32, ">"), "mips"),
        (elf(8, 64, ">"), "mips64"),
        (elf(22, 64, ">"), "s390x"),
        (elf(243), "riscv64"),
        (elf(243, 32), "riscv32"),
        (elf(0xFFFE), None),
        (b"text", None),
    ],
)
def test_processors(data: bytes, arch: str | None) -> None:
    assert filetype.arch(data) == arch


def test_a_header_far_back_is_found_in_the_whole_file() -> None:
    pe = small_pe()
    far = b"MZ" + bytes(58) + struct.pack("<I", 100_000) + bytes(100_000 - 64) + pe[64:]
    assert filetype.of(far[: filetype.HEAD]) == "dos"
    assert filetype.of(far) == "pe"
