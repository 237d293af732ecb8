"""How much one file of rows may cost to read, and what it is unpacked with: gzip, bzip2, xz and zstd."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol

from backports import zstd

from corpus.errors import BadInputError
from corpus.rows.kind import HEAD

_CHUNK = 1 << 16
# Of a decompressor: a file says itself how much it needs. The largest dictionary that xz -9 and zstd --ultra use is 64
# and 128 MiB; the formats allow 4 GiB.
MAX_MEMORY = 256 << 20
_MAX_WINDOW_LOG = 27
# Every member of a gzip file takes a decompressor of its own.
_MAX_MEMBERS = 100_000
# A small file may well be a thousand times as large: what it takes is small.
_SMALL = 16 << 20


@dataclass(frozen=True)
class Budget:
    """What the rows of one file may take. Bytes are those of the unpacked file.

    The defaults let the batches through that the field exchanges: 20 million rows (SOREL-20M), JSON lines of 50 KB
    that zstd makes 40 times smaller, pages of 300 reports.
    """

    max_bytes: int = 16 << 30
    max_ratio: float = 200.0
    max_rows: int = 25_000_000
    max_record_bytes: int = 16 << 20

    def allowed_bytes(self, packed: int) -> float:
        """What so many packed bytes may unpack to, by their ratio."""
        return max(_SMALL, self.max_ratio * packed)

    def count_rows(self, rows: int, file: str) -> None:
        """Raise `BadInputError` if there are more rows than a file may have."""
        if rows > self.max_rows:
            raise BadInputError(f"has more than {self.max_rows} rows.", file=file)


class _Decompressor(Protocol):
    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Gzip:
    """zlib's decompressor with the interface of the others: what was not taken in is kept, not handed back."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


_KINDS: dict[bytes, tuple[str, Any]] = {
    b"\x1f\x8b": ("gzip", _Gzip),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\xfd7zXZ\x00": ("xz", lambda: lzma.LZMADecompressor(memlimit=MAX_MEMORY)),
    b"\x28\xb5\x2f\xfd": (
        "zstd",
        lambda: zstd.ZstdDecompressor(
            options={zstd.DecompressionParameter.window_log_max: _MAX_WINDOW_LOG}
        ),
    ),
}
_BROKEN = (zlib.error, OSError, EOFError, lzma.LZMAError, zstd.ZstdError)


def unpacked(stream: IO[bytes], file: str, budget: Budget) -> io.BufferedReader:
    """The bytes of a file, unpacked if it is compressed; reading them raises `BadInputError` beyond the budget."""
    head = stream.read(HEAD)
    stream.seek(0)
    kind = next((each for magic, each in _KINDS.items() if head.startswith(magic)), None)
    return io.BufferedReader(_Unpacked(stream, file, budget, kind), _CHUNK)


class _Unpacked(io.RawIOBase):
    def __init__(
        self, stream: IO[bytes], file: str, budget: Budget, kind: tuple[str, Any] | None
    ) -> None:
        self._stream, self._file, self._budget = stream, file, budget
        self._read, self._given = 0, 0
        self._pieces = self._unpack(*kind) if kind else iter(lambda: stream.read(_CHUNK), b"")
        self._packed = kind is not None
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._count(len(piece))
            self._left = memoryview(piece)
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def _count(self, size: int) -> None:
        self._given += size
        budget = self._budget
        if self._given > budget.max_bytes:
            raise BadInputError(f"unpacks to more than {budget.max_bytes} bytes.", file=self._file)
        if self._packed and self._given > budget.allowed_bytes(self._read):
            raise BadInputError(
                f"unpacks to more than {budget.max_ratio:g} times its bytes.", file=self._file
            )

    def _unpack(self, name: str, make: Any) -> Iterator[bytes]:
        broken = f"is {name}-compressed, and broken or cut off."
        data, members = b"", 0
        decompressor: _Decompressor | None = None
        while True:
            if not data:
                data = self._stream.read(_CHUNK)
                self._read += len(data)
            if decompressor is None:
                if name == "gzip" and members:
                    data = data.lstrip(b"\0")  # tape blocks are padded
                if not data:
                    return
                members += 1
                if members > _MAX_MEMBERS:
                    raise BadInputError(
                        f"has more than {_MAX_MEMBERS} {name} members.", file=self._file
                    )
                decompressor = make()
            try:
                piece = decompressor.decompress(data, _CHUNK)
            except _BROKEN as error:
                raise BadInputError(broken, file=self._file) from error
            if decompressor.eof:
                data, decompressor = decompressor.unused_data, None
            elif not data and not piece:
                raise BadInputError(broken, file=self._file)
            else:
                data = b""
            if piece:
                yield piece
