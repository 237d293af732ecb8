"""Copies files into a workspace, in pieces: what a sandbox may write to is never the original."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from corpus.errors import BadInputError
from corpus.sources import filetype
from corpus.sources.files import Files
from corpus.store.faults import passing_faults
from corpus.store.object_store import Store
from corpus.store.private import create, make_folder

_CHUNK = 1 << 20


def copy(stream: IO[bytes], store: Store, key: str, limit: int | None = None) -> int:
    """Write a stream, or its first `limit` bytes, to a new file of a workspace; return how many those are.

    Raises what reading the stream raises; `PassingFaultError` on a full disk.
    """
    path = Path(store.full(key))
    with _writing(key):
        make_folder(path.parent)
        target = create(path)
    copied = 0
    with contextlib.closing(target):
        while chunk := stream.read(_CHUNK if limit is None else min(_CHUNK, limit - copied)):
            with _writing(key):
                target.write(chunk)
            copied += len(chunk)
        with _writing(key):
            target.flush()
    return copied


def copy_source(
    files: Files, location: str, store: Store, key: str, max_file_bytes: int | None
) -> tuple[dict[str, Any], int]:
    """Copy a source file; return what `CopiedFiles` is to say of it, and how many bytes were copied.

    With `max_file_bytes`, only what an ingest looks at is copied: all of an archive, that many bytes of an
    executable and one more, the head of anything else. A hole makes up for the rest of the file's size.
    If the file cannot be read, what is returned says why; raises `PassingFaultError` on a full disk.
    """
    try:
        with files.open(location) as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            copied = copy(stream, store, key, _enough(stream, max_file_bytes))
        # Looked at after reading, so that a change during it is noticed too.
        now = files.stat(location)
    except OSError as error:
        store.delete_files([key])
        gone = isinstance(error, FileNotFoundError)
        return {"error": str(error), "errno": error.errno, "gone": gone}, 0
    if copied < size:
        with _writing(key):
            os.truncate(store.full(key), size)
    return {"size": now.size, "version": now.version}, copied


def _enough(stream: IO[bytes], max_file_bytes: int | None) -> int | None:
    if max_file_bytes is None:
        return None
    head = stream.read(filetype.HEAD)
    stream.seek(0)
    kind = filetype.of(head)
    if kind in filetype.ARCHIVES:
        return None
    # One byte more tells that it is too large.
    return max_file_bytes + 1 if kind in ("dos", *filetype.EXECUTABLES) else len(head)


@contextlib.contextmanager
def _writing(key: str) -> Iterator[None]:
    """Tell a fault of the workspace's disk from one of the source, which the service is to report."""
    try:
        with passing_faults(key):
            yield
    except OSError as error:
        problem = f"cannot be written: {os.strerror(error.errno or 0).lower()}."
        raise BadInputError(problem, file=key) from error
