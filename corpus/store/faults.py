"""Turns what a file system refuses into errors that say whether a retry may help."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from corpus.errors import BadSettingError, PassingFaultError

# A full disk or a lost mount heals; a wrong path or a missing permission does not.
_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENETDOWN}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}


@contextlib.contextmanager
def passing_faults(key: str) -> Iterator[None]:
    """Turn an I/O error that may heal into a `PassingFaultError` that names the key."""
    try:
        yield
    except OSError as error:
        if error.errno in _PASSING:
            raise PassingFaultError(
                f"{key}: {os.strerror(error.errno or 0)}.",
                hint="Nothing was half-written. Free some space or mend the storage, then retry.",
                key=key,
            ) from error
        raise


@contextlib.contextmanager
def writing(url: str, key: str, *, remote: bool = False) -> Iterator[None]:
    """Do the same for a write; also turn a root that nobody may write to into a `BadSettingError`."""
    try:
        with passing_faults(key):
            yield
    except OSError as error:
        # Of a remote storage, a write to what does not exist means that there is no such bucket.
        missing = remote and isinstance(error, FileNotFoundError)
        if missing or isinstance(error, PermissionError) or error.errno in _REFUSED:
            raise BadSettingError(
                f"{url}/{key} cannot be written: {_why(error, remote)}.",
                field="store.root",
                hint="Nothing was half-written. Mend the permissions, or choose another root.",
            ) from error
        raise


@contextlib.contextmanager
def reading(url: str, key: str, *, remote: bool = False) -> Iterator[None]:
    """Do the same for a read; also turn what this user may not read into a `BadSettingError`."""
    try:
        with passing_faults(key):
            yield
    except PermissionError as error:
        raise BadSettingError(
            f"{url}/{key} cannot be read: {_why(error, remote)}.",
            field="store.root",
            hint="Mend its permissions, or run as a user who may read the corpus.",
        ) from error


def _why(error: OSError, remote: bool) -> str:
    said = os.strerror(error.errno).lower() if error.errno and not remote else str(error)
    return said.rstrip(".")
