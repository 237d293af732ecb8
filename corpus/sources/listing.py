"""Lists the source files of a URL: a folder and all below it, a single file, or a manifest."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from glob import has_magic
from typing import Any

from fsspec.utils import glob_translate

from corpus.errors import BadInputError
from corpus.places.beneath import is_no_file
from corpus.places.place import Place
from corpus.sources.files import (
    Files,
    FileStat,
    local_stat,
    reason_of,
    refusals,
    remote_stat,
    shown,
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
    folder = os.path.isdir(url.removeprefix("file://"))
    return url.lower().endswith(MANIFESTS) and not folder


def list_files(url: str, files: Files, patterns: Patterns) -> Iterator[SourceFile | Unreadable]:
    """The files at or below a URL, in no particular order; a file named by the URL is always taken.

    Symbolic links below it are left out (what they point to inside the source is listed anyway), and
    so are pipes, sockets and devices. Raises `BadInputError` if there is nothing at the URL, or if what
    is there is not an allowed place, or is neither a file nor a folder.
    """
    place = files.place(url)
    try:
        yield from (_local if place.is_local else _remote)(place, encode(url), files, patterns)
    except FileNotFoundError as error:
        raise BadInputError(
            "this source does not exist.",
            file=shown(url),
            hint="Check `sources.urls`: `corpus config` prints it.",
        ) from error
    except OSError as error:
        if not is_no_file(error):
            raise
        raise BadInputError(f"{error}.", file=shown(url)) from error


def _local(
    place: Place, source: str, files: Files, patterns: Patterns
) -> Iterator[SourceFile | Unreadable]:
    root = place.path
    try:
        if not files.places.is_folder(place):
            yield SourceFile(encode(root), local_stat(files.places.stat(place)), source)
            return
        for path, found in files.places.walk(place):
            if isinstance(found, OSError):
                yield Unreadable(encode(path), source, reason_of(found))
            elif patterns.take(path[len(root) :].lstrip("/")):
                yield SourceFile(encode(path), local_stat(found), source)
    except OSError as error:
        if isinstance(error, FileNotFoundError) or is_no_file(error):
            raise
        yield Unreadable(encode(root), source, reason_of(error))


def _remote(
    place: Place, source: str, files: Files, patterns: Patterns
) -> Iterator[SourceFile | Unreadable]:
    fs, root = files.filesystem(place)
    root, base = root.rstrip("/"), place.path.rstrip("/")
    with refusals():
        found = fs.find(root, detail=True)
        if not found:
            fs.info(root)
    for path, info in found.items():
        if path == root:
            yield SourceFile(encode(base), remote_stat(info), source)
        # A web server's page may link to anything.
        elif path.startswith(f"{root}/") and info.get("type") == "file":
            below = path[len(root) :].lstrip("/")
            if patterns.take(below):
                yield _found(encode(f"{base}/{below}"), info, source, files)


def _found(
    location: str, info: Mapping[str, Any], source: str, files: Files
) -> SourceFile | Unreadable:
    try:
        files.found(location)
    except BadInputError as error:
        return Unreadable(location, source, error.problem)
    return SourceFile(location, remote_stat(info), source)
