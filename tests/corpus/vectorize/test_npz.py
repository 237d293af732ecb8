"""Archives written by the row are what NumPy would have written at once."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from corpus.vectorize.npz import Matrix, Texts, write_array, write_texts

pytestmark = pytest.mark.fast


def test_columns_read_back_whatever_their_texts(tmp_path: Path):
    columns = [
        [f"{number:x}" * (number % 7) for number in range(3_000)],
        [chr(0x1F41F) * (number % 3) + "\udce9" for number in range(3_000)],
    ]
    texts = [Texts(tmp_path), Texts(tmp_path)]
    for column, spooled in zip(columns, texts, strict=True):
        for text in column:
            spooled.append(text)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        write_texts(archive, "one", texts[:1])
        write_texts(archive, "both", texts)
        write_texts(archive, "none", [Texts(tmp_path)])
        write_array(archive, "numbers", "<i8", (2,), [np.array([3, -4], "<i8").tobytes()])
    with np.load(tmp_path / "x.npz", allow_pickle=False) as read:
        assert read["one"].tolist() == columns[0]
        assert read["both"].tolist() == [list(row) for row in zip(*columns, strict=True)]
        assert read["none"].shape == (0,)
        assert read["numbers"].tolist() == [3, -4]


def test_the_same_rows_are_the_same_bytes(tmp_path: Path):
    for name in ("a.npz", "b.npz"):
        matrix = Matrix(tmp_path, 3)
        for number in range(5):
            matrix.append(np.full(3, number, np.float32))
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            matrix.write(archive, "X")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as read:
        assert read["X"].tolist() == [[float(number)] * 3 for number in range(5)]


def test_memory_does_not_grow_with_the_rows(tmp_path: Path):
    row = np.arange(2_568, dtype=np.float32)
    tracemalloc.start()
    try:
        matrix, paths = Matrix(tmp_path, len(row)), Texts(tmp_path)
        for number in range(8_000):
            matrix.append(row)
            paths.append(f"/some/folder/{number}")
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            matrix.write(archive, "X")
            write_texts(archive, "paths", [paths])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "x.npz").stat().st_size > 8_000 * row.nbytes
    assert peak < 16 * 2**20
