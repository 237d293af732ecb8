"""The files of a file system, local or remote: what they look like from outside, and their bytes."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import IO, Any

import fsspec

from corpus.errors import BadInputError
from corpus.places.place import Place
from corpus.places.places import Places
from corpus.sources.location import decode, encode
from corpus.store.object_store import Store

# Characters of a place that an error shows.
_SHOWN = 200
# Names under which file systems tell a version of a file, and the time of its last change.
_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "checksum")
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")


@dataclass(frozen=True)
class FileStat:
    """`size` in bytes, `version` (changes with the content), time of the last modification if known."""

    size: int
    version: str
    modified: datetime | None

    def fingerprint(self, expected_sha256: str | None = None) -> str:
        """What the watermark compares: a manifest that now expects another hash is news as well."""
        parts = (str(self.size), self.version, expected_sha256 or "")
        return "/".join(part for part in parts if part)


class Files:
    """Access to source files by their location, as far as `places` allow it.

    `options` are for remote file systems of the protocol `protocol`; others take theirs from the
    environment. Whatever is not allowed is `BadInputError`.
    """

    def __init__(
        self,
        places: Places,
        protocol: str | None = None,
        options: Mapping[str, Any] | None = None,
    ):
        self.places = places
        self._protocol = protocol
        self._options = dict(options or {})
        self.remote = lru_cache(maxsize=16)(self._remote)

    @classmethod
    def beside(cls, store: Store, places: Places) -> Files:
        """Sources on the same kind of remote storage as the corpus share its options."""
        if store.is_local:
            return cls(places)
        return cls(places, store.url.split("://", 1)[0], store.options)

    def place(self, url: str, **where: Any) -> Place:
        """Return the place that somebody wrote. Raises `BadInputError`, which names `where` it was found
        (file, row, field), or else the text itself.
        """
        return self._place(url, url, where)

    def found(self, location: str, **where: Any) -> Place:
        """Return the place at a location: of a file that was listed, or that a manifest names."""
        return self._place(decode(location), location, where, literal=True)

    def _place(
        self, text: str, written: str, where: Mapping[str, Any], *, literal: bool = False
    ) -> Place:
        try:
            return self.places.place(text, literal=literal)
        except BadInputError as error:
            raise BadInputError(
                error.problem, hint=error.hint, **(where or {"file": shown(written)})
            ) from None

    def _remote(self, scheme: str) -> fsspec.AbstractFileSystem:
        options = self._options if scheme == self._protocol else {}
        fs = self.places.filesystem(scheme, options)
        # Listings of a long-lived process may be older than this update.
        fs.invalidate_cache()
        return fs

    def filesystem(self, place: Place) -> tuple[fsspec.AbstractFileSystem, str]:
        """File system and path of a remote place. Chains (`a::b`) are part of the name here."""
        fs = self.remote(place.scheme)
        return fs, fs._strip_protocol(place.path)

    def stat(self, location: str) -> FileStat:
        """How a file looks now; raises OSError, also for what is not a regular file."""
        place = self.found(location)
        if place.is_local:
            return local_stat(self.places.stat(place))
        fs, path = self.filesystem(place)
        fs.invalidate_cache(fs._parent(path))
        with refusals():
            info = fs.info(path)
        if info.get("type") == "directory":
            raise OSError("is not a file")
        return remote_stat(info)

    def open(self, location: str) -> IO[bytes]:
        """A file's bytes, as a seekable stream; raises OSError."""
        place = self.found(location)
        if place.is_local:
            return self.places.open(place)
        fs, path = self.filesystem(place)
        with refusals():
            return fs.open(path, "rb")  # type: ignore[no-any-return]


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Raise what refused an address or a redirect; fsspec takes it for a file that is not there."""
    try:
        yield
    except FileNotFoundError as error:
        if isinstance(error.__cause__, BadInputError):
            raise error.__cause__ from None
        raise


def shown(text: str) -> str:
    """A place that somebody typed, for an error: cut, and without a password or control characters."""
    text = re.sub(r"(?<=//)[^/]*@", "***@", text)
    return encode(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def local_stat(found: os.stat_result) -> FileStat:
    modified = datetime.fromtimestamp(found.st_mtime, UTC)
    return FileStat(found.st_size, str(found.st_mtime_ns), modified)


def remote_stat(info: Mapping[str, Any]) -> FileStat:
    """From what a file system says of a file; listing it and asking for it must give the same."""
    modified = next((_time(info[name]) for name in _TIMES if info.get(name)), None)
    version = next((str(info[name]).strip('"') for name in _VERSIONS if info.get(name)), "")
    # Some file systems give a number in a listing and a time otherwise.
    version = version or (modified.isoformat() if modified else "")
    return FileStat(int(info.get("size") or 0), version, modified)


def reason_of(error: OSError) -> str:
    """What went wrong, in the words of the operating system, without a path."""
    return encode((os.strerror(error.errno) if error.errno else str(error)).lower())


def _time(value: Any) -> datetime | None:
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
