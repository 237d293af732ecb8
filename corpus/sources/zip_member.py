"""A zip member's content, unpacked a bounded piece at a time whatever its compression."""

from __future__ import annotations

from typing import Any

import pyzipper

from corpus.sources.lzma_streams import ZipLzma

# LZMA unpacks these to some 30 MB at most.
_LZMA_STEP = 4096


class Member(pyzipper.zipfile_aes.AESZipExtFile):  # type: ignore[misc]
    """Does for bzip2 and LZMA what pyzipper does for deflate only.

    pyzipper hands all that it has read to these decompressors at once, and 4 KB of bzip2 can unpack
    to 4 GB.
    """

    _eof: bool

    def get_decompressor(self, compress_type: int) -> Any:
        if compress_type == pyzipper.ZIP_LZMA:
            return ZipLzma()
        return super().get_decompressor(compress_type)

    def _read1(self, n: int) -> bytes:
        if self._compress_type == pyzipper.ZIP_LZMA:
            n = min(n, _LZMA_STEP)
        if self._compress_type != pyzipper.ZIP_BZIP2 or self._eof or n <= 0:
            return super()._read1(n)  # type: ignore[no-any-return]
        decoder = self._decompressor
        packed = self._read2(n) if decoder.needs_input else b""
        data: bytes = decoder.decompress(packed, n)[: self._left]
        self._left -= len(data)
        drained = self._compress_left <= 0 and decoder.needs_input
        self._eof = decoder.eof or drained or self._left <= 0
        self._update_crc(data)
        if self._eof:
            self.check_integrity()
        return data
