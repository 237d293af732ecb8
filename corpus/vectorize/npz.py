"""A NumPy archive written by the row: nothing but a few rows of it is ever in memory.

Rows wait in nameless files beside the archive, which no death of the process leaves behind; how many
there are, and how wide a text column is, is known only at the end.
"""

from __future__ import annotations

import tempfile
import zipfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

_CHUNK = 2**22
_ROWS = 1_024
# Zip knows no earlier time; a later one would tell two equal archives apart.
_TIME = (1980, 1, 1, 0, 0, 0)


class Matrix:
    """Rows of float32, [n, dim]."""

    def __init__(self, folder: Path, dim: int):
        self.dim = dim
        self.rows = 0
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed with the object

    def append(self, row: np.ndarray) -> None:
        """Add a row, float32 [dim]."""
        self._file.write(row.astype("<f4", copy=False).tobytes())
        self.rows += 1

    def write(self, archive: zipfile.ZipFile, name: str) -> None:
        """Write all rows into an archive, float32 [n, dim]."""
        write_array(archive, name, "<f4", (self.rows, self.dim), _chunks(self._file))


class Texts:
    """A column of texts, [n]: any text that a path can be, lone surrogates included."""

    def __init__(self, folder: Path):
        self.widest = 1
        self._sizes = array("I")
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed with the object

    def __len__(self) -> int:
        return len(self._sizes)

    def append(self, text: str) -> None:
        """Add a text as the last row."""
        self._file.write(text.encode("utf-32-le", "surrogatepass"))
        self._sizes.append(4 * len(text))
        self.widest = max(self.widest, len(text))

    def padded(self, width: int) -> Iterator[bytes]:
        """Each text as NumPy keeps it in an array of `width` characters."""
        self._file.seek(0)
        for size in self._sizes:
            yield self._file.read(size).ljust(4 * width, b"\0")


def write_texts(archive: zipfile.ZipFile, name: str, columns: Sequence[Texts]) -> None:
    """Columns of equal length side by side, [n, columns]; a single one as [n]."""
    width = max(column.widest for column in columns)
    rows = len(columns[0])
    shape = (rows,) if len(columns) == 1 else (rows, len(columns))
    cells = zip(*(column.padded(width) for column in columns), strict=True)
    write_array(archive, name, f"<U{width}", shape, _joined(b"".join(row) for row in cells))


def write_array(
    archive: zipfile.ZipFile,
    name: str,
    descr: str,
    shape: tuple[int, ...],
    chunks: Iterable[bytes],
) -> None:
    """One array of an archive, of the bytes of its elements in C order."""
    with archive.open(zipfile.ZipInfo(f"{name}.npy", _TIME), "w", force_zip64=True) as member:
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(member, header)
        for chunk in chunks:
            member.write(chunk)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk


def _joined(rows: Iterable[bytes]) -> Iterator[bytes]:
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == _ROWS:
            yield b"".join(batch)
            batch.clear()
    yield b"".join(batch)
