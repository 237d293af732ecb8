"""A folder that hostile code could write to, read without being led anywhere else."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from corpus.errors import BadInputError
from corpus.sources.files import reason_of
from corpus.sources.location import encode
from corpus.store.object_store import TEMPORARY

# A key of a corpus has fewer parts.
_DEPTH = 16


def refused(
    key: str, problem: str, row: int | None = None, field: str | None = None
) -> BadInputError:
    """Return the error for anything in a workspace that its service could not have made."""
    return BadInputError(
        problem,
        file=encode(key),
        row=row,
        field=field,
        hint="This is not what the service makes, so nothing was staged. Do the shard again; if that "
        "does not help, look for what in it broke the service, or broke into it.",
    )


class UntrustedFolder:
    """Reads files below `path` by their keys. Raises `BadInputError` for what is not a file or a folder.

    No link is followed, since it could lead to what only the trusted side may read. Nothing but regular
    files is opened, since a read of a pipe could wait forever.
    """

    def __init__(self, path: Path):
        try:
            self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise BadInputError(f"is not a folder: {reason_of(error)}.", file=str(path)) from error

    def __enter__(self) -> UntrustedFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._root)

    def require(self, allowed: re.Pattern[str]) -> None:
        """Raise `BadInputError` if the folder holds anything but folders and files whose keys match.

        A temporary file that a killed writer left is passed over; nobody reads it.
        """
        for key in self._below(os.dup(self._root), ""):
            if not key.rsplit("/", 1)[-1].startswith(TEMPORARY) and not allowed.fullmatch(key):
                raise refused(key, "does not belong here.")

    def read(self, key: str, limit: int) -> bytes | None:
        """Return the bytes of a file, or None if there is none. Raises `BadInputError` for more than `limit`."""
        descriptor = self._open(key)
        if descriptor is None:
            return None
        with open(descriptor, "rb") as stream:
            size = os.fstat(descriptor).st_size
            if size > limit:
                raise refused(key, f"has {size} bytes, more than {limit}.")
            return stream.read(size)

    def _open(self, key: str) -> int | None:
        *folders, name = key.split("/")
        folder = os.dup(self._root)
        try:
            for part in folders:
                inner = _at(part, folder, key, os.O_DIRECTORY)
                os.close(folder)
                folder = inner
            descriptor = _at(name, folder, key)
        except FileNotFoundError:
            return None
        finally:
            os.close(folder)
        # Before it is opened as a file, which a folder cannot be.
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise refused(key, "is not a regular file.")
        return descriptor

    def _below(self, folder: int, prefix: str) -> Iterator[str]:
        """Keys of the regular files below an open folder, which is closed."""
        try:
            if prefix.count("/") > _DEPTH:
                raise refused(prefix, "folders lie too deep here.")
            with os.scandir(folder) as entries:
                for entry in entries:
                    key = prefix + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        inner = _at(entry.name, folder, key, os.O_DIRECTORY)
                        yield from self._below(inner, f"{key}/")
                    elif entry.is_file(follow_symlinks=False):
                        yield key
                    else:
                        raise refused(key, "is not a regular file.")
        finally:
            os.close(folder)


def _at(name: str, folder: int, key: str, flags: int = 0) -> int:
    """Open a name in an open folder for reading. Raises `FileNotFoundError`, else `BadInputError`."""
    flags |= os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        link = error.errno in (errno.ELOOP, errno.ENOTDIR)
        problem = "is not a file of its own" if link else f"cannot be opened: {reason_of(error)}"
        raise refused(key, f"{problem}.") from error
