from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import random
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from corpus.settings import Settings
from corpus.sources.archives import Executable, Finding, Other, Problem, findings
from tests.support.archive_files import aes_zip_of, classic_zip_of, sparse_tar, tar_of, zip_of
from tests.support.executables import launcher, real_elfs, small_pe

PE = launcher()
SMALL = small_pe()
ELF = real_elfs()[0].read_bytes()


def look(data: bytes, location: str = "/in/a.bin", **sources: Any) -> list[Finding]:
    settings = Settings.load({"sources": sources}).sources
    return list(findings(io.BytesIO(data), location, len(data), settings))


def executables(found: list[Finding]) -> dict[str, bytes]:
    return {item.location: item.data for item in found if isinstance(item, Executable)}


def problems(found: list[Finding]) -> list[tuple[str, str]]:
    return [(item.location, item.reason) for item in found if isinstance(item, Problem)]


@contextlib.contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Gives the peak, in bytes, of what was allocated inside."""
    peak: list[int] = []
    tracemalloc.start()
    try:
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def test_a_bare_executable() -> None:
    assert look(PE) == [Executable("/in/a.bin", "pe", hashlib.sha256(PE).hexdigest(), PE)]


@pytest.mark.parametrize(
    "pack",
    [
        zip_of,
        lambda members: zip_of(members, zipfile.ZIP_STORED),
        lambda members: zip_of(members, zipfile.ZIP_BZIP2),
        lambda members: zip_of(members, zipfile.ZIP_LZMA),
        aes_zip_of,
        tar_of,
        lambda members: tar_of(members, "w:gz"),
        lambda members: tar_of(members, "w:bz2"),
        lambda members: tar_of(members, "w:xz"),
        lambda members: zstd.compress(tar_of(members)),
    ],
    ids=["zip", "stored", "bzip2", "lzma", "aes", "tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst"],
)  # fmt: skip
def test_members_are_found_by_content_in_every_archive(pack: Any) -> None:
    found = look(pack({"d/one.txt": PE, "two.pyd": ELF, "three.exe": b"just text", "four": b""}))
    assert executables(found) == {"/in/a.bin::d/one.txt": PE, "/in/a.bin::two.pyd": ELF}
    assert [(f.location, f.file_type) for f in found if isinstance(f, Other)] == [
        ("/in/a.bin::three.exe", "text"),
        ("/in/a.bin::four", "empty"),
    ]
    assert not problems(found)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd.compress])
def test_one_compressed_file(pack: Any) -> None:
    assert executables(look(pack(PE), "/in/tool.exe.gz")) == {"/in/tool.exe.gz::tool.exe": PE}


def test_a_classic_encrypted_zip() -> None:
    data = classic_zip_of("a.exe", SMALL)
    assert executables(look(data)) == {"/in/a.bin::a.exe": SMALL}
    assert problems(look(data, archive_passwords=["nope"])) in (
        [("/in/a.bin", "encrypted")],
        [("/in/a.bin::a.exe", "damaged_archive")],
    )


def test_a_wrong_password_that_the_old_cipher_lets_pass_is_not_the_last_tried() -> None:
    # Its check is one byte, so of 2,000 words some pass it and give garbage.
    words = [f"wrong{n}" for n in range(2_000)]
    data = classic_zip_of("a.exe", SMALL)
    found = look(data, archive_passwords=[*words, "infected"], max_unpacked_bytes=1 << 40)
    assert executables(found) == {"/in/a.bin::a.exe": SMALL}


def test_passwords_are_tried_in_turn() -> None:
    data = aes_zip_of({"a": PE}, b"s3cret")
    assert problems(look(data)) == [("/in/a.bin", "encrypted")]
    assert problems(look(data, archive_passwords=[])) == [("/in/a.bin", "encrypted")]
    assert executables(look(data, archive_passwords=["infected", "s3cret"])) == {"/in/a.bin::a": PE}


def test_an_encrypted_archive_is_one_problem_however_many_its_members() -> None:
    (found,) = look(aes_zip_of({"a": PE, "b": ELF}, b"s3cret"))
    assert isinstance(found, Problem)
    assert (found.reason, found.files) == ("encrypted", 2)


def test_archives_in_archives() -> None:
    inner = tar_of({"deep.exe": PE}, "w:gz")
    data = zip_of({"in.tgz": inner, "locked.zip": aes_zip_of({"x": ELF})})
    assert executables(look(data)) == {
        "/in/a.bin::in.tgz::deep.exe": PE,
        "/in/a.bin::locked.zip::x": ELF,
    }


def test_too_deep_an_archive_stays_closed_and_the_rest_is_kept() -> None:
    data = zip_of({"a.exe": SMALL, "z": zip_of({"b.exe": PE, "z": zip_of({"c.exe": ELF})})})
    found = look(data, max_depth=2)
    assert list(executables(found)) == ["/in/a.bin::a.exe", "/in/a.bin::z::b.exe"]
    assert problems(found) == [("/in/a.bin::z::z", "bomb")]
    assert len(executables(look(data, max_depth=3))) == 3
    assert problems(look(data, max_depth=0)) == [("/in/a.bin", "bomb")]


def test_a_gzip_within_a_gzip_without_end() -> None:
    data = PE
    for _ in range(50):
        data = gzip.compress(data)
    (found,) = look(data)
    assert isinstance(found, Problem)
    assert found.reason == "bomb"


@pytest.mark.parametrize(
    "pack",
    [
        lambda data: zip_of({"a": data}),
        lambda data: tar_of({"a": data}, "w:gz"),
        lambda data: gzip.compress(data),
        lambda data: zip_of({"in": gzip.compress(data)}),
    ],
)
@pytest.mark.parametrize("head", [b"MZ", b"\x7fELF\x02\x01", b"PK\x03\x04"])
def test_a_ratio_bomb_is_refused_before_it_is_unpacked(pack: Any, head: bytes) -> None:
    data = pack(head + bytes(32 << 20))
    with peak_memory() as peak:
        found = look(data)
    last = found[-1]
    assert isinstance(last, Problem)
    assert (last.reason, last.whole) == ("bomb", True)
    assert "200 times" in last.detail
    assert peak[0] < 16 << 20


@pytest.mark.parametrize(
    "pack",
    [
        lambda data: zip_of({"a": data}, zipfile.ZIP_BZIP2),
        lambda data: zip_of({"a": data}, zipfile.ZIP_LZMA),
        bz2.compress,
        lzma.compress,
        zstd.compress,
    ],
    ids=["zip bzip2", "zip lzma", "bzip2", "xz", "zstd"],
)
def test_no_compression_is_unpacked_further_than_the_ratio(pack: Any) -> None:
    data = pack(b"MZ" + bytes(128 << 20))
    with peak_memory() as peak:
        found = look(data)
    assert isinstance(found[-1], Problem)
    assert found[-1].reason == "bomb"
    # 4 KB of LZMA are 30 MB; all of it would be more than 128 MB.
    assert peak[0] < 80 << 20


def test_a_bomb_is_measured_not_believed() -> None:
    """A member that claims to be small is read no further than it claims, and fails its CRC."""
    data = bytearray(zip_of({"a": b"MZ" + bytes(1 << 20)}))
    where = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, where + 24, 100)
    struct.pack_into("<I", data, 22, 100)
    assert problems(look(bytes(data))) == [("/in/a.bin::a", "damaged_archive")]


def test_too_many_members() -> None:
    members = {f"{n}": SMALL for n in range(11)}
    for data in (zip_of(members), tar_of(members), zip_of({"t": tar_of(members)})):
        last = look(data, max_members=10)[-1]
        assert isinstance(last, Problem)
        assert (last.location, last.reason, last.whole) == ("/in/a.bin", "bomb", True)
    assert len(executables(look(zip_of(members), max_members=11))) == 11


def test_too_many_bytes_over_all_depths() -> None:
    noise = random.Random(1)
    members = {f"{n}": SMALL + noise.randbytes(10_000) for n in range(10)}
    assert len(executables(look(zip_of(members), max_unpacked_bytes=200_000))) == 10
    for data in (zip_of(members), tar_of(members), tar_of(members, "w:gz")):
        last = look(data, max_unpacked_bytes=50_000)[-1]
        assert isinstance(last, Problem)
        assert (last.reason, last.whole) == ("bomb", True)
    twice = zip_of({"z": zip_of(members)})
    assert isinstance(look(twice, max_unpacked_bytes=120_000)[-1], Problem)


def test_overlapping_members_are_a_bomb() -> None:
    """Many directory entries that share one member's bytes unpack to more than the file could hold."""
    one = zip_of({"a": SMALL + random.Random(2).randbytes(20_000)}, zipfile.ZIP_STORED)
    where = one.index(b"PK\x01\x02")
    end = one.rindex(b"PK\x05\x06")
    entry = one[where:end]
    many = one[:where] + entry * 500
    many += b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 500, 500, len(entry) * 500, where, 0)
    last = look(many, max_ratio=20)[-1]
    assert isinstance(last, Problem)
    assert last.reason == "bomb"


def test_the_holes_of_a_sparse_tar_are_not_read(tmp_path: Path) -> None:
    assert look(sparse_tar(tmp_path, 1 << 40)) == [Other("/in/a.bin::hole", "sparse")]


def test_an_endless_header_of_a_tar() -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    last = look(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))[-1]
    assert isinstance(last, Problem)
    assert last.reason == "bomb"


def test_too_large_an_executable_is_left_out_alone() -> None:
    found = look(tar_of({"a": PE, "b": SMALL}), max_file_bytes=len(PE) - 1)
    assert list(executables(found)) == ["/in/a.bin::b"]
    assert problems(found) == [("/in/a.bin::a", "too_large")]
    assert len(executables(look(tar_of({"a": PE}), max_file_bytes=len(PE)))) == 1


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_cut_short_keeps_what_came_before(mode: str) -> None:
    noise = random.Random(3)
    data = tar_of([("a", SMALL), ("b", PE + noise.randbytes(3_000_000))], mode)
    found = look(data[: len(data) // 2])
    assert problems(found) == [("/in/a.bin", "damaged_archive")]
    # bz2 and xz give their bytes in blocks as large as this file.
    assert len(executables(found)) == (1 if mode in ("w", "w:gz") else len(executables(found)))
    assert "/in/a.bin::b" not in executables(found)


def test_garbage_between_members_is_not_the_end_of_a_tar() -> None:
    data = tar_of({"a": SMALL})[:1536] + b"garbage!" * 64 + tar_of({"b": PE})
    found = look(data)
    assert list(executables(found)) == ["/in/a.bin::a"]
    assert problems(found) == [("/in/a.bin", "damaged_archive")]


def test_a_flipped_byte_in_a_zip_costs_that_member() -> None:
    data = bytearray(zip_of([("a", SMALL), ("b", PE)], zipfile.ZIP_STORED))
    data[100] ^= 1
    found = look(bytes(data))
    assert list(executables(found)) == ["/in/a.bin::b"]
    assert problems(found) == [("/in/a.bin::a", "damaged_archive")]


@pytest.mark.parametrize("method", [9, 98], ids=["Deflate64", "PPMd"])
def test_a_member_that_is_sound_but_packed_in_a_way_nothing_here_unpacks(method: int) -> None:
    data = bytearray(zip_of({"a.exe": PE, "b.exe": SMALL}))
    for where in (data.index(b"PK\3\4") + 8, data.index(b"PK\1\2") + 10):
        struct.pack_into("<H", data, where, method)
    found = look(bytes(data))
    assert executables(found) == {"/in/a.bin::b.exe": SMALL}
    assert problems(found) == [("/in/a.bin::a.exe", "unsupported")]
    (told,) = (one for one in found if isinstance(one, Problem))
    assert str(method) in told.detail


def test_a_flipped_byte_in_an_aes_zip() -> None:
    data = bytearray(aes_zip_of({"a": PE}))
    data[5000] ^= 1
    assert problems(look(bytes(data))) == [("/in/a.bin::a", "damaged_archive")]


def test_a_gzip_with_a_wrong_checksum_gives_nothing() -> None:
    data = bytearray(gzip.compress(PE))
    data[-6] ^= 1
    found = look(bytes(data))
    assert not executables(found)
    assert problems(found) == [("/in/a.bin", "damaged_archive")]


def test_cut_and_scrambled_archives_are_problems_not_errors() -> None:
    noise = random.Random(4)
    archives = [
        zip_of({"a": SMALL, "b": b"x" * 100}),
        aes_zip_of({"a": SMALL}),
        classic_zip_of("a", SMALL),
        *(tar_of({"a": SMALL, "n" * 200: b"x"}, mode) for mode in ("w", "w:gz", "w:bz2", "w:xz")),
        zstd.compress(tar_of({"a": SMALL})),
    ]
    for data in archives:
        for _ in range(150):
            broken = bytearray(data[: noise.randrange(4, len(data) + 1)])
            for _ in range(noise.randrange(4)):
                broken[noise.randrange(len(broken))] = noise.randrange(256)
            for found in look(bytes(broken)):
                assert isinstance(found, Executable | Other | Problem)


def test_hostile_names_are_only_names() -> None:
    names = ["../../etc/passwd", "/etc/shadow", "a\nb", "C:\\x.exe", "same", "same"]
    found = look(tar_of([(name, SMALL + str(n).encode()) for n, name in enumerate(names)]))
    assert [item.location for item in found] == [
        "/in/a.bin::../../etc/passwd",
        "/in/a.bin::/etc/shadow",
        "/in/a.bin::a%0Ab",
        "/in/a.bin::C:\\x.exe",
        "/in/a.bin::same",
        "/in/a.bin::same",
    ]
    assert len({item.data for item in found if isinstance(item, Executable)}) == 6


def test_a_name_that_is_not_utf_8() -> None:
    data = tar_of({"b\udcff\udc80": SMALL})
    assert list(executables(look(data))) == ["/in/a.bin::b%FF%80"]


def test_links_and_folders_and_pipes_in_a_tar_are_nothing() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"x{kind!r}")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert look(buffer.getvalue()) == []


def test_a_self_extractor_is_an_executable() -> None:
    data = PE + zip_of({"a.exe": ELF})
    assert zipfile.is_zipfile(io.BytesIO(data))
    assert executables(look(data)) == {"/in/a.bin": data}


def test_a_pe_with_its_header_far_back() -> None:
    far = b"MZ" + bytes(58) + struct.pack("<I", 100_000) + bytes(100_000 - 64) + SMALL[64:]
    assert executables(look(zip_of({"a": far}, zipfile.ZIP_STORED))) == {"/in/a.bin::a": far}
    assert look(b"MZ" + bytes(100)) == [Other("/in/a.bin", "dos")]


def test_a_large_member_is_held_once() -> None:
    big = SMALL + random.Random(5).randbytes(1 << 20) * 64
    data = zip_of({"a": big}, zipfile.ZIP_STORED)
    settings = Settings.load({}).sources
    stream = io.BytesIO(data)
    with peak_memory() as peak:
        for found in findings(stream, "/in/a", len(data), settings):
            assert isinstance(found, Executable)
            assert len(found.data) == len(big)
    assert peak[0] < 1.5 * len(big)
