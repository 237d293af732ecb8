"""Lists the source files of a URL: a folder and all below it, a single file, or a manifest."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from glob import has_magic

from fsspec.utils import glob_translate

from corpus.errors import BadInputError
from corpus.sources.files import (
    Files,
    FileStat,
    is_local,
    local_path,
    local_stat,
    reason_of,
    remote_stat,
)
from corpus.sources.location import encode

MANIFESTS = (".csv", ".jsonl", ".parquet")


@dataclass(frozen=True)
class SourceFile:
    """A source file as it was listed; the last four fields are what a manifest says of it."""

    location: str
    stat: FileStat
    source: str
    expected_sha256: str | None = None
    first_seen: datetime | None = None
    tags: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        return self.stat.fingerprint(self.expected_sha256)


@dataclass(frozen=True)
class Unreadable:
    """A file or folder that could not be listed, and why."""

    location: str
    source: str
    detail: str


@dataclass(frozen=True)
class Patterns:
    """Globs over the path below the source's URL; one without `/` matches names at any depth.

    A pattern without wildcards also stands for a folder of that name: for all that is in it.
    """

    include: Sequence[str] = ("**",)
    exclude: Sequence[str] = ()
    _compiled: dict[str, re.Pattern[str]] = field(default_factory=dict, repr=False)

    def take(self, path: str) -> bool:
        return self._any(self.include, path) and not self._any(self.exclude, path)

    def _any(self, patterns: Sequence[str], path: str) -> bool:
        name = path.rsplit("/", 1)[-1]
        every = (glob for pattern in patterns for glob in _globs(pattern))
        return any(self._match(p).match(path if "/" in p else name) for p in every)

    def _match(self, pattern: str) -> re.Pattern[str]:
        if pattern not in self._compiled:
            self._compiled[pattern] = re.compile(glob_translate(pattern))
        return self._compiled[pattern]


@cache
def _globs(pattern: str) -> tuple[str, ...]:
    if has_magic(pattern):
        return (pattern,)
    plain = pattern.strip("/")
    return (plain, f"{plain}/**" if "/" in plain else f"**/{plain}/**")


def is_manifest(url: str) -> bool:
    folder = is_local(url) and os.path.isdir(local_path(url))
    return url.lower().endswith(MANIFESTS) and not folder


def list_files(url: str, files: Files, patterns: Patterns) -> Iterator[SourceFile | Unreadable]:
    """The files at or below a URL, in no particular order; a file named by the URL is always taken.

    Symbolic links below it are left out (what they point to inside the source is listed anyway), and
    so are pipes, sockets and devices. Raises `BadInputError` if there is nothing at the URL.
    """
    try:
        yield from (_local if is_local(url) else _remote)(url, files, patterns)
    except FileNotFoundError as error:
        raise BadInputError(
            "this source does not exist.",
            file=encode(url),
            hint="Check `sources.urls`: `corpus config` prints it.",
        ) from error


def _local(url: str, files: Files, patterns: Patterns) -> Iterator[SourceFile | Unreadable]:
    root, source = local_path(url), encode(url)
    if not os.path.isdir(root):
        location = encode(root)
        try:
            yield SourceFile(location, files.stat(location), source)
        except FileNotFoundError:
            raise
        except OSError as error:
            yield Unreadable(location, source, reason_of(error))
        return
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False) and patterns.take(
                        entry.path[len(root) :].lstrip("/")
                    ):
                        yield _listed(entry, source)
        except FileNotFoundError:
            # Gone since its parent was listed; the source itself must be there.
            if folder == root:
                raise
        except OSError as error:
            yield Unreadable(encode(folder), source, reason_of(error))


def _listed(entry: os.DirEntry[str], source: str) -> SourceFile | Unreadable:
    try:
        found = local_stat(entry.stat(follow_symlinks=False))
    except OSError as error:
        return Unreadable(encode(entry.path), source, reason_of(error))
    return SourceFile(encode(entry.path), found, source)


def _remote(url: str, files: Files, patterns: Patterns) -> Iterator[SourceFile | Unreadable]:
    fs, root = files.filesystem(url)
    root, base = root.rstrip("/"), url.rstrip("/")
    found = fs.find(root, detail=True)
    if not found:
        fs.info(root)
    for path, info in found.items():
        below = path[len(root) :].lstrip("/")
        if not below:
            yield SourceFile(encode(base), remote_stat(info), encode(url))
        elif info.get("type") == "file" and patterns.take(below):
            yield SourceFile(encode(f"{base}/{below}"), remote_stat(info), encode(url))
