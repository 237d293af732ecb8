"""Write a file outside the store so that it is there complete, or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from corpus.errors import BadInputError
from corpus.store.faults import passing_faults
from corpus.store.object_store import sync_folder
from corpus.store.unfinished import unfinished


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes its name only when it is complete and on the disk.

    If the block raises, nothing of it is left, and the old file of that name stays. A full disk
    is a `PassingFaultError`. A link stays one, and the file it leads to is replaced. Raises `BadInputError`
    if there cannot be such a file.
    """
    # A device or a pipe would be replaced by the file, /dev/null for everyone on the machine.
    if path.exists() and not path.is_file():
        raise BadInputError("is there, and not a regular file.", file=str(path))
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise BadInputError("its folder does not exist.", file=str(path))
    if not os.access(path.parent, os.W_OK):
        raise BadInputError("its folder cannot be written to.", file=str(path))
    temporary = path.parent / f".tmp-{os.getpid()}-{uuid.uuid4().hex}"
    unfinished.add(temporary)
    try:
        with passing_faults(str(path)):
            with temporary.open("xb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
        unfinished.discard(temporary)
