"""LZMA with a bound on its memory: a file says itself how large a dictionary its reader has to keep."""

from __future__ import annotations

import io
import lzma
from typing import IO

import pyzipper.zipfile

from corpus.rows.budget import MAX_MEMORY
from corpus.sources.limits import BombError

_TOO_MUCH = f"needs more than {MAX_MEMORY >> 20} MiB of memory to unpack"
_PIECE = 1 << 16


class XzFile(io.RawIOBase):
    """The content of all .xz or .lzma streams of a file, one behind the other; what else follows is left out.

    Raises `LZMAError` and `EOFError` as `lzma.LZMAFile` does, and `BombError` beyond `MAX_MEMORY`.
    """

    def __init__(self, stream: IO[bytes]):
        self._stream = stream
        self._decoder = lzma.LZMADecompressor(memlimit=MAX_MEMORY)
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = b""
        while not (data or self._ended):
            data = self._piece(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _piece(self, most: int) -> bytes:
        packed, behind = b"", self._decoder.eof
        if behind:
            packed = self._next_stream()
            self._decoder = lzma.LZMADecompressor(memlimit=MAX_MEMORY)
            self._ended = not packed
        elif self._decoder.needs_input:
            packed = self._stream.read(_PIECE)
            if not packed:
                raise EOFError("the file ends before its content does")
        try:
            return b"" if self._ended else self._decoder.decompress(packed, most)
        except lzma.LZMAError as error:
            # The library has no type of its own for it.
            if "Memory usage" in str(error):
                raise BombError(_TOO_MUCH) from error
            if not behind:
                raise
            # What stands behind the last one is no stream.
            self._ended = True
            return b""

    def _next_stream(self) -> bytes:
        """The first bytes behind a stream and its padding, which are zeros; none at the end."""
        packed = self._decoder.unused_data or self._stream.read(_PIECE)
        while packed and not (begins := packed.lstrip(b"\0")):
            packed = self._stream.read(_PIECE)
        return begins if packed else b""


class ZipLzma(pyzipper.zipfile.LZMADecompressor):  # type: ignore[misc]
    """A decompressor for a zip's member of method 14, which begins with the properties of its stream (APPNOTE 5.8.8)."""

    def decompress(self, data: bytes) -> bytes:
        if self._decomp is None:
            head = (self._unconsumed + data)[5:9]
            if len(head) == 4 and int.from_bytes(head, "little") > MAX_MEMORY:
                raise BombError(_TOO_MUCH)
        return super().decompress(data)  # type: ignore[no-any-return]
