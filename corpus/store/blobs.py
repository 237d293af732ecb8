"""Samples as content-addressed blobs: compressed, written once, checked whenever they are read.

    blobs/sha256/ab/cd/<sha256>.zst    one zstd frame with a checksum; the name is that of the content

A blob is not executable as it lies there, and no blob is ever changed or replaced.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass

from backports import zstd

from corpus.errors import BadInputError, DamagedError
from corpus.store.object_store import Store

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LEVEL = 3
# Hardly any: of Windows DLLs four times as large, packed in a ninth of the time, unpacked in a quarter.
_FLEETING_LEVEL = zstd.CompressionParameter.compression_level.bounds()[0]

_PIECE = 2**20


@dataclass(frozen=True)
class BlobRecord:
    """A blob as it is stored: `blob_sha256` and `blob_size` (bytes) are those of the compressed form."""

    sha256: str
    blob_sha256: str
    blob_size: int


def key(sha256: str) -> str:
    """Key of a sample's blob in the store. Raises `BadInputError` for what is not a lower-case sha256."""
    if not _SHA256.fullmatch(sha256):
        raise BadInputError(f"{sha256!r} is not a sha256 in lower-case hex.", field="sha256")
    return f"blobs/sha256/{sha256[:2]}/{sha256[2:4]}/{sha256}.zst"


def put(store: Store, sha256: str, data: bytes) -> BlobRecord:
    """Store `data` under its `sha256`, once.

    A blob that is there already is read back and checked. Raises `DamagedError` if it does not hold
    these bytes, or where `data` itself does not have that digest; `PassingFaultError` on a full disk.
    """
    name = key(sha256)
    if not store.exists(name):
        if hashlib.sha256(data).hexdigest() != sha256:
            raise DamagedError(f"these bytes are not those of {sha256}.", sha256=sha256)
        packed = _pack(data, _LEVEL if store.durable else _FLEETING_LEVEL)
        if store.create_bytes(name, packed):
            return BlobRecord(sha256, hashlib.sha256(packed).hexdigest(), len(packed))
        del packed
    return read(store, sha256)[0]


def get(store: Store, sha256: str) -> bytes:
    """The bytes of a sample. Raises `NotFoundError`, or `DamagedError` if they are not what was stored."""
    return read(store, sha256)[1]


def read(store: Store, sha256: str) -> tuple[BlobRecord, bytes]:
    """A blob's record and the bytes of its sample; raises as `get` does."""
    name = key(sha256)
    packed = store.read_bytes(name)
    record = BlobRecord(sha256, hashlib.sha256(packed).hexdigest(), len(packed))
    try:
        data = unpack(packed)
    except zstd.ZstdError as error:
        raise _damaged(store, name, sha256, str(error)) from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise _damaged(store, name, sha256, f"its content has the digest {found}")
    return record, data


def _pack(data: bytes, level: int) -> bytes:
    parameter = zstd.CompressionParameter
    return zstd.compress(
        data, options={parameter.compression_level: level, parameter.checksum_flag: 1}
    )


def unpack(packed: bytes, limit: int | None = None) -> bytes:
    """What one frame holds. Raises `ZstdError`, also if that is more than `limit` bytes."""
    # `zstd.decompress` joins pieces at the end, and so takes twice the memory.
    decompressor = zstd.ZstdDecompressor()
    whole, given = io.BytesIO(), 0
    while not decompressor.eof:
        part = b""
        if decompressor.needs_input:
            part = packed[given : given + _PIECE]
            given += len(part)
            if not part:
                raise zstd.ZstdError("the frame is cut off")
        whole.write(decompressor.decompress(part, max_length=_PIECE))
        if limit is not None and whole.tell() > limit:
            raise zstd.ZstdError(f"it holds more than {limit} bytes")
    if decompressor.unused_data or given < len(packed):
        raise zstd.ZstdError("there is more behind the frame")
    # Not a copy: the stream gives its buffer away.
    return whole.getvalue()


def _damaged(store: Store, name: str, sha256: str, problem: str) -> DamagedError:
    return DamagedError(
        f"{store.url}/{name} is damaged: {problem}.",
        hint="Restore it from a backup, or remove it and ingest the sample again.",
        key=name,
        sha256=sha256,
    )
