"""The root of a corpus: a folder, or an fsspec URL."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import fsspec
import fsspec.implementations.local
from fsspec import AbstractFileSystem

from corpus.errors import BadSettingError

_FIELD = "store.root"


def open_root(url: str | os.PathLike[str], options: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the file system of a root, and its path there. Raises `BadSettingError` if it cannot be one."""
    try:
        found: tuple[AbstractFileSystem, str] = fsspec.core.url_to_fs(os.fspath(url), **options)
    except (ValueError, ImportError) as error:
        # fsspec has no error of its own for a protocol that it does not know, or lacks the library for.
        protocol = os.fspath(url).partition("://")[0]
        raise BadSettingError(
            f"{protocol}:// is not a protocol that can be used here: {str(error).rstrip('.')}.",
            field=_FIELD,
            hint="Name a folder, or a URL such as s3://bucket/path.",
        ) from error
    system, path = found
    path = path.rstrip("/")
    if isinstance(system, fsspec.implementations.local.LocalFileSystem):
        _refuse_files(path)
    return system, path


def _refuse_files(path: str) -> None:
    """Raise `BadSettingError` if what is there is not a folder, or lies below what is not."""
    folder = path
    while folder and not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise BadSettingError(
            f"{folder} is a file, and a corpus is a folder.",
            field=_FIELD,
            hint="Name another folder; the first update makes it.",
        )
