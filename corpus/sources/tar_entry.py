"""The entries of a tar, with what tarfile lets pass refused: endless headers, and garbage taken for the end."""

from __future__ import annotations

import re
import tarfile
from typing import Any

from corpus.sources.limits import BombError

# Extended headers and long names of one tar, which tarfile reads whole.
_ALL_HEADERS_BYTES = 64 << 20
_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_HEADER_BYTES = 1 << 20
# Numbers are times, sizes and ids. Python before 3.11.10 takes a time that grows with the square of a longer row of
# digits (CVE-2024-6232): half a minute for 160 KB.
_TOO_LONG_A_NUMBER = re.compile(rb"[0-9]{257}")


def tar_entry() -> type[tarfile.TarInfo]:
    """A `TarInfo` for one tar, whose headers it counts; raises `ReadError` and `BombError` as it is read."""

    class Entry(tarfile.TarInfo):
        headers = 0

        @classmethod
        def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Entry:
            try:
                return super().fromtarfile(tarfile_)
            except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
                raise tarfile.ReadError(str(error)) from error

        def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
            if self.type in _HEADERS:
                Entry.headers += self.size
                if not 0 <= Entry.headers <= _ALL_HEADERS_BYTES:
                    raise BombError(f"more than {_ALL_HEADERS_BYTES} bytes of tar headers")
            return super()._proc_member(archive)  # type: ignore[misc,no-any-return]

        def _proc_pax(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
            stream = archive.fileobj
            archive.fileobj = _Checked(stream)
            try:
                return super()._proc_pax(archive)  # type: ignore[misc,no-any-return]
            finally:
                archive.fileobj = stream

    return Entry


class _Checked:
    """A tar's stream at an extended header: the first read is of that header, and is looked at before tarfile does."""

    def __init__(self, stream: Any):
        self._stream = stream
        self._first = True

    def read(self, size: int) -> bytes:
        if self._first and size > _HEADER_BYTES:
            raise tarfile.ReadError(f"an extended header of more than {_HEADER_BYTES} bytes")
        data: bytes = self._stream.read(size)
        if self._first and _TOO_LONG_A_NUMBER.search(data):
            raise tarfile.ReadError("a number of more than 256 digits in an extended header")
        self._first = False
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
