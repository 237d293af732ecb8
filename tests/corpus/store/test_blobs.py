from __future__ import annotations

import hashlib
import os
import random
import stat
import tracemalloc
from pathlib import Path

import pytest
from backports import zstd

from corpus.errors import BadInputError, DamagedError, NotFoundError
from corpus.store import blobs
from corpus.store.object_store import Store

pytestmark = pytest.mark.fast

DATA = b"a sample\n" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return Store(tmp_path / "corpus")
    return Store(f"memory://{tmp_path.name}-{random.getrandbits(64):x}")


def test_what_was_put_is_what_one_gets(store: Store) -> None:
    record = blobs.put(store, SHA256, DATA)
    packed = store.read_bytes(blobs.key(SHA256))
    assert blobs.get(store, SHA256) == DATA
    assert record == blobs.BlobRecord(SHA256, hashlib.sha256(packed).hexdigest(), len(packed))
    assert blobs.read(store, SHA256) == (record, DATA)
    assert len(packed) < len(DATA)


def test_the_key_is_spread_over_folders() -> None:
    assert blobs.key(SHA256) == f"blobs/sha256/{SHA256[:2]}/{SHA256[2:4]}/{SHA256}.zst"


@pytest.mark.parametrize("name", ["", "abc", SHA256.upper(), "../" + SHA256[3:], SHA256 + "\n"])
def test_a_key_is_made_of_a_sha256_only(name: str) -> None:
    with pytest.raises(BadInputError):
        blobs.key(name)


def test_a_blob_is_written_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = blobs.put(store, SHA256, DATA)
    before = os.stat(store.full(blobs.key(SHA256)))
    assert blobs.put(store, SHA256, DATA) == first
    after = os.stat(store.full(blobs.key(SHA256)))
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_blob_of_another_compression_stays_as_it_is(store: Store) -> None:
    packed = zstd.compress(DATA, 19)
    store.write_bytes(blobs.key(SHA256), packed)
    assert blobs.put(store, SHA256, DATA).blob_sha256 == hashlib.sha256(packed).hexdigest()


def test_a_blob_is_not_executable(tmp_path: Path) -> None:
    store = Store(tmp_path)
    blobs.put(store, SHA256, DATA)
    mode = os.stat(store.full(blobs.key(SHA256))).st_mode
    assert not mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def test_every_flipped_bit_is_found(store: Store) -> None:
    blobs.put(store, SHA256, DATA)
    name = blobs.key(SHA256)
    packed = store.read_bytes(name)
    for bit in range(0, len(packed) * 8, 7):
        broken = bytearray(packed)
        broken[bit // 8] ^= 1 << bit % 8
        store.write_bytes(name, bytes(broken))
        with pytest.raises(DamagedError) as error:
            blobs.get(store, SHA256)
        assert error.value.fields["sha256"] == SHA256
    with pytest.raises(DamagedError):
        blobs.put(store, SHA256, DATA)


@pytest.mark.parametrize("packed", [b"", b"not zstd", zstd.compress(b"other bytes")])
def test_what_is_not_the_sample_is_damaged(store: Store, packed: bytes) -> None:
    store.write_bytes(blobs.key(SHA256), packed)
    with pytest.raises(DamagedError):
        blobs.get(store, SHA256)
    with pytest.raises(DamagedError):
        blobs.put(store, SHA256, DATA)
    assert store.read_bytes(blobs.key(SHA256)) == packed


@pytest.mark.parametrize("packed", [zstd.compress(DATA)[:-1], zstd.compress(DATA) + b"more"])
def test_a_frame_cut_off_or_with_more_behind_it_is_damaged(store: Store, packed: bytes) -> None:
    store.write_bytes(blobs.key(SHA256), packed)
    with pytest.raises(DamagedError):
        blobs.get(store, SHA256)


def test_a_large_sample_is_in_memory_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    # Its blob is small beside it.
    data = random.Random(1).randbytes(2**20) * 40
    sha256, size = hashlib.sha256(data).hexdigest(), len(data)
    blobs.put(store, sha256, data)
    del data
    tracemalloc.start()
    try:
        assert len(blobs.get(store, sha256)) == size
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.4 * size


def test_bytes_of_another_digest_are_refused(store: Store) -> None:
    with pytest.raises(DamagedError):
        blobs.put(store, SHA256, b"something else")
    assert not store.exists(blobs.key(SHA256))


def test_a_blob_that_is_not_there(store: Store) -> None:
    with pytest.raises(NotFoundError):
        blobs.get(store, SHA256)


def test_no_bytes_are_a_blob_too(store: Store) -> None:
    name = hashlib.sha256(b"").hexdigest()
    blobs.put(store, name, b"")
    assert blobs.get(store, name) == b""
