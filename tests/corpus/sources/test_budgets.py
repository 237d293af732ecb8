"""What reading one source file may cost: its worst input of each kind is refused, or is no worse than its size."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from backports import zstd

from corpus.settings import Settings
from corpus.sources.archives import Executable, Finding, Other, Problem, findings
from tests.support.archive_files import aes_zip_of, tar_of, zip_of
from tests.support.executables import small_pe

SMALL = small_pe()


def look(data: bytes, **sources: Any) -> Iterator[Finding]:
    settings = Settings.load({"sources": sources}).sources
    return findings(io.BytesIO(data), "/in/a.bin", len(data), settings)


def refused(found: Iterator[Finding]) -> str:
    """Why the source file is refused as a whole."""
    *_, last = found
    assert isinstance(last, Problem)
    assert (last.reason, last.whole) == ("bomb", True)
    return last.detail


def pax(content: bytes) -> bytes:
    """A tar of one empty file, with this as its extended header."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, len(content)
    padding = bytes(-len(content) % tarfile.BLOCKSIZE)
    return (
        header.tobuf(tarfile.USTAR_FORMAT) + content + padding + tarfile.TarInfo("y").tobuf()
        + bytes(2 * tarfile.BLOCKSIZE)
    )  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [b"1" * 162_000, b"20 mtime=" + b"9" * 300 + b"\n", b"x" * (2 << 20)],
    ids=["digits", "a long number", "too long"],
)
def test_an_extended_header_that_is_nonsense(content: bytes) -> None:
    (found,) = look(pax(content))
    assert isinstance(found, Problem)
    assert found.reason == "damaged_archive"
    assert "extended header" in found.detail


def test_extended_headers_as_they_are_written() -> None:
    name = "d/" + "long-" * 60 + ".exe"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo(name)
        info.size, info.mtime = len(SMALL), 1_700_000_000.123456789
        info.pax_headers = {
            "SCHILY.xattr.user.sha256": "0123456789abcdef" * 4,
            "comment": "é" * 900,
        }
        archive.addfile(info, io.BytesIO(SMALL))
    (found,) = look(buffer.getvalue())
    assert isinstance(found, Executable)
    assert found.location == f"/in/a.bin::{name}"


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, bz2.compress, lzma.compress, zstd.compress],
    ids=["gzip", "bzip2", "xz", "zstd"],
)
def test_pieces_without_content_take_time_too(pack: Callable[[bytes], bytes]) -> None:
    assert "more than 0.01 s" in refused(look(pack(b"") * 20_000, max_seconds=0.01))


def test_members_without_content_take_time_too() -> None:
    many = [(f"{n}.exe", b"") for n in range(2_000)]
    for data in (zip_of(many), tar_of(many), aes_zip_of([("a.exe", SMALL)] * 30)):
        assert "more than 0.01 s" in refused(look(data, max_seconds=0.01))


def test_the_time_of_whoever_uses_a_sample_is_not_the_file_s() -> None:
    found = look(zip_of({"a.exe": SMALL, "b.exe": SMALL}), max_seconds=0.25)
    names = []
    for one in found:
        assert isinstance(one, Executable)
        names.append(one.location)
        end = time.thread_time() + 0.3
        while time.thread_time() < end:
            pass
    assert names == ["/in/a.bin::a.exe", "/in/a.bin::b.exe"]


def xz(dictionary: int, data: bytes = SMALL) -> bytes:
    """An .xz file that says it needs such a dictionary; a power of two."""
    packed = lzma.compress(data, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
    # The block's header: its size, flags, the filter's id, the size of its properties, the properties, a CRC-32.
    begin, size = 12, (packed[12] + 1) * 4
    block = bytearray(packed[begin : begin + size])
    block[4] = 2 * (dictionary.bit_length() - 1 - 12)
    block[-4:] = struct.pack("<I", zlib.crc32(bytes(block[:-4])))
    return packed[:begin] + bytes(block) + packed[begin + size :]


def test_a_dictionary_that_no_memory_is_given_to() -> None:
    (found,) = look(xz(1 << 27))
    assert isinstance(found, Executable)
    assert "256 MiB of memory" in refused(look(xz(1 << 30)))


def test_a_dictionary_of_a_zip_s_member() -> None:
    data = zip_of({"a.exe": SMALL}, zipfile.ZIP_LZMA)
    # Behind the local header and the name: two bytes of version, two of the properties' size, the properties.
    where = 30 + len("a.exe") + 4 + 1
    assert int.from_bytes(data[where : where + 4], "little") < 1 << 27
    swollen = data[:where] + struct.pack("<I", 1 << 30) + data[where + 4 :]
    assert "256 MiB of memory" in refused(look(swollen))


def test_xz_streams_behind_one_another_and_padding() -> None:
    halves = random.Random(1).randbytes(200_000), SMALL
    data = lzma.compress(SMALL + halves[0]) + lzma.compress(halves[1])
    (found,) = look(data + bytes(8))
    assert isinstance(found, Executable)
    assert found.data == SMALL + halves[0] + halves[1]
    (cut,) = (one for one in look(data[:-20]) if isinstance(one, Problem))
    assert cut.reason == "damaged_archive"
    alone = lzma.compress(SMALL, format=lzma.FORMAT_ALONE)
    assert not any(isinstance(one, Problem) for one in look(alone))
    assert all(isinstance(one, Executable | Other) for one in look(alone))
