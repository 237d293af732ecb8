"""The files of a file system, local or remote: what they look like from outside, and their bytes."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import IO, Any

import fsspec

from corpus.sources.location import decode, encode
from corpus.store.object_store import Store

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


def is_local(url: str) -> bool:
    return "://" not in url or url.startswith(("/", "file://", "local://"))


def local_path(url: str) -> str:
    """Absolute path of a local URL."""
    for prefix in ("file://", "local://"):
        url = url.removeprefix(prefix)
    return os.path.abspath(os.path.expanduser(url) if url.startswith("~") else url)


class Files:
    """Access to source files by their location.

    `options` are for remote file systems of the protocol `protocol`; others take theirs from the
    environment.
    """

    def __init__(self, protocol: str | None = None, options: Mapping[str, Any] | None = None):
        self._protocol = protocol
        self._options = dict(options or {})
        self.remote = lru_cache(maxsize=16)(self._remote)

    @classmethod
    def beside(cls, store: Store) -> Files:
        """Sources on the same kind of remote storage as the corpus share its options."""
        return cls() if store.is_local else cls(store.url.split("://", 1)[0], store.options)

    def _remote(self, protocol: str) -> fsspec.AbstractFileSystem:
        options = self._options if protocol == self._protocol else {}
        fs = fsspec.filesystem(protocol, **options)
        # Listings of a long-lived process may be older than this update.
        fs.invalidate_cache()
        return fs

    def filesystem(self, url: str) -> tuple[fsspec.AbstractFileSystem, str]:
        """File system and path of a remote URL. Chains (`a::b`) are part of the name here."""
        fs = self.remote(url.split("://", 1)[0])
        return fs, fs._strip_protocol(url)

    def stat(self, location: str) -> FileStat:
        """How a file looks now; raises OSError, also for what is not a regular file."""
        if is_local(location):
            found = os.stat(decode(location))
            if not stat.S_ISREG(found.st_mode):
                raise OSError(f"{location} is not a regular file")
            return local_stat(found)
        fs, path = self.filesystem(decode(location))
        fs.invalidate_cache(fs._parent(path))
        info = fs.info(path)
        if info.get("type") == "directory":
            raise OSError(f"{location} is not a file")
        return remote_stat(info)

    def open(self, location: str) -> IO[bytes]:
        """A file's bytes, as a seekable stream; raises OSError."""
        if not is_local(location):
            fs, path = self.filesystem(decode(location))
            return fs.open(path, "rb")  # type: ignore[no-any-return]
        # A pipe that has taken the file's place must not be waited for.
        descriptor = os.open(decode(location), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(f"{location} is not a regular file")
        return open(descriptor, "rb")


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
