from __future__ import annotations

import hashlib
import json
import os
import struct
from pathlib import Path

import lief
import pytest

from corpus.sandbox import Sandbox
from corpus.services.ingest.identity import identify, is_identity
from tests.support.executables import launcher, real_elfs, real_pes, small_pe

pytestmark = pytest.mark.fast


def pefile_imphash(data: bytes) -> str:
    """The import hash, by pefile's definition, of a PE that imports by name only."""
    names = []
    # LIEF's objects live only as long as what they were taken from.
    binary = lief.PE.parse(data)
    for library in binary.imports:
        stem = library.name.lower()
        for suffix in (".dll", ".ocx", ".sys"):
            stem = stem.removesuffix(suffix)
        names += [f"{stem}.{entry.name.lower()}" for entry in library.entries]
    return hashlib.md5(",".join(names).encode()).hexdigest()


def pe_that_imports(library: str, *imports: str | int) -> bytes:
    """A PE32+ whose one section holds an import table: names, or numbers for ordinals."""
    base, table = 0x1000, 40 + 8 * (len(imports) + 1) * 2
    thunks, names = b"", b""
    for item in imports:
        if isinstance(item, int):
            thunks += struct.pack("<Q", 1 << 63 | item)
        else:
            thunks += struct.pack("<Q", base + table + len(names))
            names += struct.pack("<H", 0) + item.encode() + b"\0"
    thunks += bytes(8)
    descriptor = struct.pack(
        "<IIIII", base + 40, 0, 0, base + table + len(names), base + 40 + len(thunks)
    )
    section = descriptor + bytes(20) + thunks * 2 + names + library.encode() + b"\0"
    data = bytearray(small_pe()[:512] + section.ljust(512, b"\0"))
    # Entry 1 of the data directories is the import table.
    struct.pack_into("<II", data, 64 + 24 + 112 + 8, base, 40)
    return bytes(data)


@pytest.mark.parametrize("path", real_pes(), ids=lambda path: path.name)
def test_real_pes(path: Path) -> None:
    data = path.read_bytes()
    found = identify(data)
    assert found["file_type"] == "pe"
    assert (
        found["arch"]
        == {0x14C: "x86", 0x8664: "x86_64", 0xAA64: "arm64"}[
            struct.unpack_from("<H", data, struct.unpack_from("<I", data, 60)[0] + 4)[0]
        ]
    )
    assert len(found["tlsh"]) == 72
    assert found["tlsh"].startswith("T1")
    assert found["imphash"] == pefile_imphash(data)


@pytest.mark.parametrize("path", real_elfs(), ids=lambda path: path.name)
def test_real_elfs(path: Path) -> None:
    found = identify(path.read_bytes())
    assert (found["file_type"], found["imphash"]) == ("elf", None)
    assert found["arch"] == {"x86_64": "x86_64", "aarch64": "arm64"}[os.uname().machine]
    assert found["tlsh"].startswith("T1")


def test_the_import_hash_of_every_dot_net_executable() -> None:
    known = "f34d5f2d4577ed6d9ceec516c1f5a744"
    assert identify(pe_that_imports("mscoree.dll", "_CorExeMain"))["imphash"] == known


@pytest.mark.parametrize(
    ("library", "imports", "text"),
    [
        ("USER32.dll", ["MessageBoxA", "GetDC"], "user32.messageboxa,user32.getdc"),
        ("Some.Thing.OCX", ["Go"], "some.thing.go"),
        ("driver.sys", ["Go"], "driver.go"),
        ("noext", ["Go"], "noext.go"),
        ("other.exe", ["Go"], "other.exe.go"),
        ("mfc42.dll", [815, "Go"], "mfc42.ord815,mfc42.go"),
        # pefile knows the names behind the ordinals of these libraries.
        ("WS2_32.dll", [115, 9999], "ws2_32.wsastartup,ws2_32.ord9999"),
        ("oleaut32.dll", [2], "oleaut32.sysallocstring"),
    ],
)
def test_import_hashes_by_the_definition(library: str, imports: list[str | int], text: str) -> None:
    found = identify(pe_that_imports(library, *imports))["imphash"]
    assert found == hashlib.md5(text.encode()).hexdigest()


def test_a_pe_that_imports_nothing_has_no_import_hash() -> None:
    found = identify(small_pe())
    assert (found["file_type"], found["arch"], found["imphash"]) == ("pe", "x86_64", None)


@pytest.mark.parametrize("data", [b"MZ", b"x" * 49, b"x" * 100_000, b""])
def test_no_tlsh_of_what_is_short_or_without_variety(data: bytes) -> None:
    assert identify(data)["tlsh"] is None


def test_the_answer_is_json_and_the_same_in_the_sandbox() -> None:
    data = launcher()
    found = identify(data)
    assert json.loads(json.dumps(found)) == found
    with Sandbox("corpus.services.ingest.identity:identify") as sandbox:
        assert [outcome.value for outcome in sandbox.map([("a", data)])] == [found]


def test_cut_and_scrambled_pes_do_no_harm() -> None:
    data = launcher("t32.exe")
    for cut in (65, 200, 300, 512, 1000, 40_000):
        assert identify(data[:cut])["file_type"] in ("pe", "dos")
    for at in range(0, 1024, 16):
        scrambled = data[:at] + b"\xff" * 16 + data[at + 16 :]
        assert set(identify(scrambled)) == {"file_type", "arch", "tlsh", "imphash"}


def test_an_answer_is_believed_only_in_its_form() -> None:
    sound = identify(b"MZ" + bytes(100))
    assert is_identity(sound)
    for broken in (
        None,
        [],
        {},
        {**sound, "more": None},
        {**sound, "arch": 1},
        {**sound, "file_type": None},
        {**sound, "imphash": "x" * 73},
        {**sound, "tlsh": "\ud800"},
    ):
        assert not is_identity(broken)
