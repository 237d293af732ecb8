"""Finds the executables in one source file, in whatever archives it wraps them.

Archives are told by content and read as streams: nothing is extracted under its own name, so absolute
names, `../` and duplicates do no harm. A PE or ELF file that is an archive as well (a self-extractor)
is an executable.

What goes wrong is a finding, not an exception:
- a limit on ratio, members, bytes or seconds is passed: `bomb`. The source file is refused as a whole (the
  last finding is marked `whole`), so the caller drops the members found before it;
- an archive lies deeper than `max_depth`: `bomb` for that archive, which stays closed;
- a member is packed in a way that nothing here unpacks (Deflate64, PPMd): `unsupported`, with its name;
- an archive is damaged: `damaged_archive`; members read before the damage are good (zip checks each
  by CRC-32) and stay;
- no password fits: `encrypted`, one finding an archive, with the number of members.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import io
import lzma
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import pyzipper
from backports import zstd

from corpus.settings import SourceSettings
from corpus.sources import filetype
from corpus.sources.limits import BombError, Budget, Meter, Metered
from corpus.sources.location import MEMBER, encode, member
from corpus.sources.lzma_streams import XzFile
from corpus.sources.spool import Spool
from corpus.sources.tar_entry import tar_entry
from corpus.sources.zip_member import Member

_CHUNK = 1 << 20
_BUFFER = 1 << 16

_DECOMPRESSORS: dict[str, Callable[[IO[bytes]], Any]] = {
    "gzip": lambda stream: gzip.GzipFile(fileobj=stream, mode="rb"),
    "bzip2": bz2.BZ2File,
    "xz": XzFile,
    "zstd": zstd.ZstdFile,
}

# What the readers of archives raise on bytes that make no sense.
_DAMAGE = (
    EOFError,
    LookupError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    ValueError,
    lzma.LZMAError,
    pyzipper.BadZipFile,
    struct.error,
    tarfile.TarError,
    zlib.error,
    zstd.ZstdError,
)


@dataclass(frozen=True)
class Executable:
    """An executable and its bytes; `location` names the archives it lies in."""

    location: str
    file_type: str
    sha256: str
    data: bytes


@dataclass(frozen=True)
class Other:
    """A file that is not an executable (of `file_type`)."""

    location: str
    file_type: str


@dataclass(frozen=True)
class Problem:
    """What could not be read; `reason` as in the table of rejects, `files` how many it concerns.

    `whole`: the source file is refused, with all that was found in it before.
    """

    location: str
    reason: str
    detail: str
    file_type: str | None = None
    size: int | None = None
    files: int = 1
    sha256: str | None = None
    whole: bool = False


Finding = Executable | Other | Problem


def findings(
    stream: IO[bytes], location: str, size: int, settings: SourceSettings
) -> Iterator[Finding]:
    """What is in the file at `location`, of `size` bytes, that the seekable `stream` reads.

    Raises OSError if the stream does, `PassingFaultError` if temporary space runs out.
    """
    budget = Budget.of(settings)
    found = _Reader(settings, budget).examine(stream, location, size, depth=0)
    while True:
        try:
            # Not the time that the caller takes for what is given to it.
            with budget.at_work():
                finding = next(found)
        except StopIteration:
            return
        except BombError as bomb:
            yield Problem(location, "bomb", str(bomb), size=size, whole=True)
            return
        yield finding
        # With the bytes of this one out of memory.
        del finding


class _Reader:
    def __init__(self, settings: SourceSettings, budget: Budget):
        self._budget = budget
        self._passwords = [word.get_secret_value().encode() for word in settings.archive_passwords]

    def examine(
        self, stream: IO[bytes], location: str, size: int | None, depth: int
    ) -> Iterator[Finding]:
        """A file's findings; `size` is None for a member, whose stream cannot be wound back."""
        if isinstance(stream, io.BufferedReader) and size is None:
            head = stream.peek(filetype.HEAD)[: filetype.HEAD]
        else:
            head = stream.read(filetype.HEAD)
            stream.seek(0)
        kind = filetype.of(head)
        if kind in ("dos", *filetype.EXECUTABLES):
            yield self._executable(stream, location, kind)
        elif kind not in filetype.ARCHIVES:
            yield Other(location, kind)
        elif depth >= self._budget.max_depth:
            detail = f"more than {self._budget.max_depth} archives deep"
            yield Problem(location, "bomb", detail, kind, size)
        elif size is not None:
            yield from self._archive(stream, location, kind, size, depth)
        else:
            # Its real size is what its ratio is measured by, and a zip is read from its end.
            with Spool(stream) as spool:
                yield from self._archive(spool.file, location, kind, spool.size, depth)

    def _executable(
        self, stream: IO[bytes], location: str, kind: str
    ) -> Executable | Other | Problem:
        limit = self._budget.max_file_bytes
        # BytesIO hands out its buffer without a copy, however it was filled.
        whole = io.BytesIO()
        while whole.tell() <= limit and (chunk := stream.read(_CHUNK)):
            whole.write(chunk)
        if whole.tell() > limit:
            return Problem(location, "too_large", f"more than {limit} bytes", kind)
        data = whole.getvalue()
        # Only the whole file tells a PE whose header lies far back from a DOS program.
        kind = filetype.of(data)
        if kind not in filetype.EXECUTABLES:
            return Other(location, kind)
        return Executable(location, kind, hashlib.sha256(data).hexdigest(), data)

    def _archive(
        self, stream: IO[bytes], location: str, kind: str, size: int, depth: int
    ) -> Iterator[Finding]:
        meter = Meter(self._budget, size)
        try:
            if kind == "zip":
                yield from self._zip(stream, location, meter, depth)
            elif kind == "tar":
                yield from self._tar(_metered(stream, meter), location, depth)
            else:
                yield from self._compressed(stream, location, kind, meter, depth)
        except _DAMAGE as error:
            yield _damaged(location, error, kind, size)
        except OSError as error:
            # gzip and bz2 say so of bad data, without a number; an offset before the start has one.
            if error.errno not in (None, errno.EINVAL):
                raise
            yield _damaged(location, error, kind, size)

    def _compressed(
        self, stream: IO[bytes], location: str, kind: str, meter: Meter, depth: int
    ) -> Iterator[Finding]:
        # Of pieces without content, millions of which may stand one behind the other, it gives nothing to count.
        packed = io.BufferedReader(Metered(stream, lambda _: self._budget.check_time()), _BUFFER)
        content = _metered(_DECOMPRESSORS[kind](packed), meter)
        if filetype.of(content.peek(512)[:512]) == "tar":
            yield from self._tar(content, location, depth)
            return
        self._budget.count_member()
        base = location.rsplit(MEMBER, 1)[-1].rsplit("/", 1)[-1]
        stem = base.rpartition(".")[0] or "content"
        # The stem is a piece of a location, so it is not encoded once more.
        yield from self.examine(content, f"{location}{MEMBER}{stem}", None, depth + 1)

    def _tar(self, stream: IO[bytes], location: str, depth: int) -> Iterator[Finding]:
        with tarfile.open(
            fileobj=stream, mode="r|", bufsize=_CHUNK, tarinfo=tar_entry(), errors="surrogateescape"
        ) as archive:
            while info := archive.next():
                self._budget.count_member()
                # tarfile would keep every header that it has read.
                archive.members = []  # type: ignore[attr-defined]
                name = member(location, info.name)
                if info.issparse():
                    # Its holes are zeros that nothing counts.
                    yield Other(name, "sparse")
                elif info.isreg() and (content := archive.extractfile(info)):
                    yield from self.examine(content, name, None, depth + 1)
        # A compressed stream is checked at its very end only.
        while stream.read(_CHUNK):
            pass

    def _zip(self, stream: IO[bytes], location: str, meter: Meter, depth: int) -> Iterator[Finding]:
        budget = self._budget

        class Entry(pyzipper.zipfile_aes.AESZipInfo):  # type: ignore[misc]
            """Counted as the directory is read, which a bomb can make as long as it likes."""

            __slots__ = ()

            def __init__(self, *arguments: object, **options: object):
                budget.count_member()
                super().__init__(*arguments, **options)

        class Archive(pyzipper.AESZipFile):  # type: ignore[misc]
            zipinfo_cls = Entry
            zipextfile_cls = Member

        locked = 0
        with Archive(stream) as archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                name = member(location, info.filename)
                try:
                    if not info.flag_bits & 1:
                        with archive.open(info) as content:
                            yield from self.examine(_metered(content, meter), name, None, depth + 1)
                    elif unlocked := self._unlock(archive, info, meter):
                        with unlocked as spool:
                            yield from self.examine(spool.file, name, spool.size, depth + 1)
                    else:
                        locked += 1
                except NotImplementedError as error:
                    # Sound, but packed in a way that the library cannot unpack.
                    yield Problem(name, "unsupported", encode(str(error)), "zip", info.file_size)
                except _DAMAGE as error:
                    yield _damaged(name, error)
        if locked:
            detail = "no password fits" if self._passwords else "no password is set"
            yield Problem(location, "encrypted", detail, "zip", meter.packed, locked)

    def _unlock(self, archive: Any, info: Any, meter: Meter) -> Spool | None:
        """A member's content by the first password that fits; None if none does."""
        damage: Exception | None = None
        for password in self._passwords:
            self._budget.check_time()
            try:
                with archive.open(info, pwd=password) as content:
                    spool = Spool(_metered(content, meter))
            except _DAMAGE as error:
                # The old cipher lets one wrong password of 256 pass, and gives garbage.
                damage = damage or error
            except RuntimeError:
                continue
            else:
                self._passwords.remove(password)
                self._passwords.insert(0, password)
                return spool
        if damage:
            raise damage
        return None


def _metered(stream: IO[bytes], meter: Meter) -> io.BufferedReader:
    return io.BufferedReader(Metered(stream, meter.count), _BUFFER)


def _damaged(
    location: str, error: Exception, kind: str | None = None, size: int | None = None
) -> Problem:
    detail = encode(str(error)) or type(error).__name__
    return Problem(location, "damaged_archive", detail, kind, size)
