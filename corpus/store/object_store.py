"""Keys below one fsspec URL: read them, write them whole, create them once.

A key is a relative path with `/`. Every write is atomic and durable: a reader sees the old bytes
or the new ones, and what was written is on the disk before the call returns; but see `Store.fleeting`.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import hashlib
import io
import json
import os
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import fsspec.implementations.local

from corpus.errors import DamagedError, NotFoundError
from corpus.store.faults import reading, writing
from corpus.store.keys import require_key
from corpus.store.private import create, make_folder
from corpus.store.root import open_root
from corpus.store.unfinished import unfinished

# Airflow reads data cards of the store, and has no pyarrow in its image.
if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}

# How the name of a file begins that is being written, or that a killed writer left.
TEMPORARY = ".tmp-"


@dataclass(frozen=True)
class WrittenFile:
    """A file of the store as it was written: `size` in bytes, `sha256` of those bytes."""

    key: str
    size: int
    sha256: str
    rows: int = 0


class Store:
    """All files of a corpus, below `url` (a folder or any fsspec URL such as s3://bucket/path).

    `durable` says whether what is written is to outlive a crash of the machine.
    """

    durable = True

    def __init__(self, url: str | os.PathLike[str], options: Mapping[str, Any] | None = None):
        self.options = dict(options or {})
        self.fs, self.path = open_root(url, self.options)
        self.is_local = isinstance(self.fs, fsspec.implementations.local.LocalFileSystem)
        self.url = self.path if self.is_local else self.fs.unstrip_protocol(self.path)

    def fleeting(self) -> Store:
        """The same files, for one task: as they are lost with it anyway, no write waits for the disk,
        and blobs are hardly compressed.
        """
        store = copy.copy(self)
        store.durable = False
        return store

    def full(self, key: str) -> str:
        """Return the path of a key, as the file system has it. Raises as `require_key`."""
        return f"{self.path}/{require_key(key)}"

    def exists(self, key: str) -> bool:
        """Return whether there is such a key. Raises `BadSettingError` if it may not be looked at."""
        with self._reading(key):
            if not self.is_local:
                self.fs.invalidate_cache()
                return bool(self.fs.exists(self.full(key)))
            try:
                os.stat(self.full(key))
            except ValueError:
                return False
            except OSError as error:
                if error.errno in _ABSENT:
                    return False
                raise
            return True

    def require_root(self) -> None:
        """Raise `NotFoundError` if there is no such folder, or no such bucket of an object store."""
        if self.is_local:
            there = os.path.isdir(self.path)
        else:
            self.fs.invalidate_cache()
            # There are no folders in a bucket, so an empty corpus is nothing to be seen.
            there = self.fs.exists(self.path) or self.fs.exists(self.path.split("/")[0])
        if not there:
            raise NotFoundError(
                f"{self.url} does not exist.",
                hint="Check `--root` or `store.root`; the first update makes the folder.",
            )

    def size(self, key: str) -> int:
        """Return how many bytes a key has. Raises `FileNotFoundError`."""
        with self._reading(key):
            return int(self.fs.size(self.full(key)))

    def open(self, key: str) -> IO[bytes]:
        """Open for reading; raises `NotFoundError` if there is no such key."""
        try:
            with self._reading(key):
                return self.fs.open(self.full(key), "rb")  # type: ignore[no-any-return]
        except FileNotFoundError as error:
            raise NotFoundError(f"{self.url}/{key} does not exist.", key=key) from error

    def read_bytes(self, key: str) -> bytes:
        """Read all bytes of a key. Raises `NotFoundError`."""
        with self._reading(key), self.open(key) as stream:
            return stream.read()

    def measure(self, key: str) -> WrittenFile:
        """Size and sha256 of a key's bytes as they are stored now; raises `NotFoundError`."""
        digest, size = hashlib.sha256(), 0
        with self._reading(key), self.open(key) as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
                size += len(block)
        return WrittenFile(key, size, digest.hexdigest())

    def list(self, prefix: str) -> list[str]:
        """Keys of all files below a prefix, sorted; temporary files of unfinished writes are left out."""
        keys = (path[len(self.path) + 1 :] for path in self._find(prefix))
        return sorted(key for key in keys if not key.rsplit("/", 1)[-1].startswith(TEMPORARY))

    def details(self, prefix: str) -> dict[str, dict[str, Any]]:
        """What the file system says of each file below a prefix, temporary ones too, by key."""
        found = self._find(prefix).items()
        return {path[len(self.path) + 1 :]: info for path, info in found if info}

    def _find(self, prefix: str) -> dict[str, dict[str, Any]]:
        with self._reading(prefix), contextlib.suppress(FileNotFoundError):
            if self.is_local:
                found = self.fs.find(self.full(prefix), detail=True, on_error=_raise_unless_gone)
            else:
                self.fs.invalidate_cache()
                found = self.fs.find(self.full(prefix), detail=True)
            return dict(found)
        return {}

    def _reading(self, key: str) -> contextlib.AbstractContextManager[None]:
        return reading(self.url, key, remote=not self.is_local)

    def write_bytes(self, key: str, data: bytes) -> WrittenFile:
        """Write a key whole, replacing what was there."""
        with writing(self.url, key, remote=not self.is_local):
            if self.is_local:
                self._write_local(key, data, replace=True)
            else:
                self.fs.pipe_file(self.full(key), data)
        return WrittenFile(key, len(data), hashlib.sha256(data).hexdigest())

    def create_bytes(self, key: str, data: bytes) -> bool:
        """Write a key unless it exists; return whether it was written.

        Of several writers at once exactly one gets True (link(2) locally, If-None-Match on S3).
        """
        with writing(self.url, key, remote=not self.is_local):
            if self.is_local:
                return self._write_local(key, data, replace=False)
            try:
                self.fs.pipe_file(self.full(key), data, mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                # S3 answers 412 for a lost race and 409 for one still being decided; s3fs keeps
                # the code only in the error that it translates.
                answer = getattr(error.__cause__, "response", {}).get("Error", {})
                if answer.get("Code") in ("PreconditionFailed", "ConditionalRequestConflict"):
                    return False
                raise
            return True

    def _write_local(self, key: str, data: bytes, *, replace: bool) -> bool:
        target = Path(self.full(key))
        make_folder(target.parent)
        name = f"{TEMPORARY}{os.getpid()}-{threading.get_ident()}-{uuid.uuid4().hex}"
        temporary = target.with_name(name)
        unfinished.add(temporary)
        try:
            with create(temporary) as stream:
                stream.write(data)
                if self.durable:
                    stream.flush()
                    os.fsync(stream.fileno())
            if replace:
                os.replace(temporary, target)
            else:
                try:
                    os.link(temporary, target)
                except FileExistsError:
                    return False
            if self.durable:
                sync_folder(target.parent)
        finally:
            temporary.unlink(missing_ok=True)
            unfinished.discard(temporary)
        return True

    def copy(self, source: str, target: str) -> None:
        """Give the bytes of one key a second key: a hard link locally, else a copy by the storage."""
        with writing(self.url, target):
            if not self.is_local:
                self.fs.copy(self.full(source), self.full(target))
                return
            path = Path(self.full(target))
            make_folder(path.parent)
            try:
                os.link(self.full(source), path)
            except FileExistsError:
                return
            except OSError as error:
                # Some file systems have no hard links, or have run out of them for this file.
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                    raise
                self._write_local(target, self.read_bytes(source), replace=True)
            if self.durable:
                sync_folder(path.parent)

    def delete(self, prefix: str) -> None:
        """Delete a key, or all keys below a prefix; none is fine, too."""
        with writing(self.url, prefix), contextlib.suppress(FileNotFoundError):
            self.fs.rm(self.full(prefix), recursive=True)

    def delete_files(self, keys: Sequence[str]) -> None:
        """Delete files, in the order given; those that are gone already are passed over."""
        if not self.is_local and keys:
            with writing(self.url, keys[0]), contextlib.suppress(FileNotFoundError):
                self.fs.rm([self.full(key) for key in keys])
            return
        for key in keys:
            with writing(self.url, key):
                Path(self.full(key)).unlink(missing_ok=True)

    # JSON

    def read_json(self, key: str) -> Any:
        """Read a JSON value. Raises `NotFoundError`, and `DamagedError` if the bytes are not JSON."""
        try:
            return json.loads(self.read_bytes(key))
        except (ValueError, RecursionError) as error:
            raise DamagedError(f"{key} is not valid JSON.", key=key) from error

    def write_json(self, key: str, value: Any) -> WrittenFile:
        """Write a value as canonical JSON."""
        return self.write_bytes(key, to_json(value))

    # Parquet

    def write_table(self, key: str, table: pa.Table) -> WrittenFile:
        """Write rows as a Parquet file; the answer says how many."""
        written = self.write_bytes(key, to_parquet(table))
        return WrittenFile(key, written.size, written.sha256, table.num_rows)

    def dataset(self, keys: Sequence[str], schema: pa.Schema) -> ds.Dataset:
        """Parquet files as one pyarrow dataset of the given schema."""
        # Imported here: it is slow, and a command's help or a service's request does not need it.
        import pyarrow.dataset as ds
        import pyarrow.fs as pafs

        # Asked beforehand: pyarrow opens the files only when their rows are read, elsewhere.
        for key in keys if self.is_local else ():
            if not os.access(self.full(key), os.R_OK, effective_ids=True):
                self.open(key).close()
        filesystem = (
            pafs.LocalFileSystem()
            if self.is_local
            else pafs.PyFileSystem(pafs.FSSpecHandler(self.fs))
        )
        return ds.dataset(
            [self.full(key) for key in keys], schema=schema, format="parquet", filesystem=filesystem
        )


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def to_json(value: Any) -> bytes:
    """Canonical JSON: sorted keys, two spaces, UTF-8, one newline at the end."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()


def to_parquet(table: pa.Table) -> bytes:
    """Rows as a Parquet file; the same rows give the same bytes."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=131_072)
    return sink.getvalue()


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
