from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.errors import BadInputError, NotFoundError, PassingFaultError
from corpus.services.context import Context
from corpus.snapshots.dataset import open_snapshot
from corpus.snapshots.export import export
from tests.support.building import TINY, build_two, sha


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return build_two(tmp_path_factory.mktemp("export") / "corpus")


def test_parquet_is_the_loaded_table(made: Context, tmp_path: Path) -> None:
    out = tmp_path / "corpus.parquet"
    report = export(made.store, "latest", out)
    assert (report.snapshot, report.rows, report.size) == ("two", 30, out.stat().st_size)
    table = pq.read_table(out)
    assert table.equals(open_snapshot(root=made.store.path).to_arrow())
    assert table.schema.field("vector").type == pa.list_(pa.field("item", pa.float32()), TINY.dim)


def test_npz_needs_no_pickle(made: Context, tmp_path: Path) -> None:
    out = tmp_path / "corpus.npz"
    assert export(made.store, "two", out, kind="npz").rows == 29
    loaded = np.load(out, allow_pickle=False)
    assert sorted(loaded.files) == ["X", "group_id", "label", "sha256", "split", "y"]
    assert (loaded["X"].shape, loaded["X"].dtype) == ((29, TINY.dim), np.float32)
    assert loaded["sha256"].dtype == np.dtype("<U64")
    assert loaded["sha256"].tolist() == sorted(sha(n) for n in range(30) if n != 7)
    classes = {"malicious": 1, "benign": 0, "unknown": -1}
    assert loaded["y"].tolist() == [classes[label] for label in loaded["label"]]
    snapshot = open_snapshot("two", root=made.store.path)
    X, y = snapshot.to_numpy(labels=tuple(classes))
    assert np.array_equal(loaded["X"], X)
    assert np.array_equal(loaded["y"], y)


@pytest.mark.parametrize("kind", ["parquet", "npz"])
def test_one_split(made: Context, tmp_path: Path, kind: str) -> None:
    rows = export(made.store, "two", tmp_path / "out", kind=kind, split="test").rows  # type: ignore[arg-type]
    frame = open_snapshot(root=made.store.path).to_polars(split="test")
    assert rows == (frame.height if kind == "parquet" else frame.drop_nulls("vector").height)


def test_the_same_snapshot_gives_the_same_file(made: Context, tmp_path: Path) -> None:
    export(made.store, "two", tmp_path / "a", kind="npz")
    export(made.store, "two", tmp_path / "b", kind="npz")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_is_not_overwritten_unasked(made: Context, tmp_path: Path) -> None:
    out = tmp_path / "out.npz"
    out.write_bytes(b"mine")
    with pytest.raises(BadInputError, match="exists already"):
        export(made.store, "two", out, kind="npz")
    assert out.read_bytes() == b"mine"
    export(made.store, "two", out, kind="npz", force=True)
    assert out.read_bytes() != b"mine"


def test_a_folder_that_is_not_there(made: Context, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such folder"):
        export(made.store, "two", tmp_path / "no" / "out")


def test_no_such_snapshot(made: Context, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        export(made.store, "three", tmp_path / "out")


def test_what_fails_leaves_nothing(
    made: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.npz"
    out.write_bytes(b"mine")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(PassingFaultError, match="No space left"):
        export(made.store, "two", out, kind="npz", force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]
    assert out.read_bytes() == b"mine"
