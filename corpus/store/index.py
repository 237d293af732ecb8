"""Which files of a table may have a value: what makes a look-up cost as much in a large corpus as in a small one.

    index/<table>/<sha256 of the data file>.<column>

One file for each indexed column of each data file: the CRC-32 of the rest in 8 bytes, then a 64-bit
hash (BLAKE2b) of each row's value, in ascending order; all little-endian. It can say that a file lacks
a value, never that it has it: who asks reads the file then. An index is a cache, made from the data
file alone. Without it all files are read; `publish` makes what is missing.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.errors import DamagedError, NotFoundError
from corpus.store.manifest import TableFile
from corpus.store.object_store import Store
from corpus.store.schemas import TableSpec

Hashes = npt.NDArray[np.uint64]
_WIDTH = 8


def key(table: str, sha256: str, column: str) -> str:
    """Return the key of the index of one column of a data file, by the sha256 of the file."""
    return f"index/{table}/{sha256}.{column}"


def hashes(values: Iterable[str | None]) -> Hashes:
    """The 64-bit hash of each value; nulls are left out."""
    digests = b"".join(
        hashlib.blake2b(value.encode(), digest_size=_WIDTH).digest()
        for value in values
        if value is not None
    )
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def complete(store: Store, spec: TableSpec, files: Sequence[TableFile]) -> None:
    """Make the indexes that a table's files (entries of a manifest) lack."""
    have = set(store.list(f"index/{spec.name}"))
    for file in files:
        for column in spec.indexed:
            name = key(spec.name, file["sha256"], column)
            if name not in have:
                rows = store.dataset([file["key"]], spec.schema).to_table(columns=[column])
                data = np.sort(hashes(rows[column].to_pylist())).astype("<u8").tobytes()
                store.create_bytes(name, zlib.crc32(data).to_bytes(_WIDTH, "little") + data)


def look_up(
    store: Store, spec: TableSpec, files: Sequence[TableFile], column: str, values: pa.Array
) -> npt.NDArray[np.bool_] | None:
    """Whether each file (row) may have each value (column); None without an index that tells."""
    if column not in spec.indexed:
        return None
    wanted = hashes(values.to_pylist())
    found = np.zeros((len(files), len(wanted)), np.bool_)
    for row, file in zip(found, files, strict=True):
        try:
            there = _read(store, key(spec.name, file["sha256"], column))
        except NotFoundError:
            return None
        if len(there):
            places = np.minimum(np.searchsorted(there, wanted), len(there) - 1)
            row[:] = there[places] == wanted
    return found


def _read(store: Store, name: str) -> Hashes:
    data = memoryview(store.read_bytes(name))
    if len(data) % _WIDTH or zlib.crc32(data[_WIDTH:]) != int.from_bytes(data[:_WIDTH], "little"):
        raise DamagedError(
            f"{name} is damaged.", hint="Remove it: the next publish makes it anew.", key=name
        )
    return np.frombuffer(data[_WIDTH:], "<u8").astype(np.uint64, copy=False)
