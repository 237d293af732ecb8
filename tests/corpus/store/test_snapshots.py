from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from corpus.errors import NotFoundError
from corpus.store.object_store import Store
from corpus.store.snapshot_rows import latest_rows
from corpus.store.snapshots import Snapshot
from tests.support.building import TINY, VECTORS, build_two, sha


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return build_two(tmp_path_factory.mktemp("snapshots") / "corpus").store


def test_by_id_or_the_newest(store: Store) -> None:
    assert Snapshot.open(store).id == Snapshot.open(store, "latest").id == "two"
    assert Snapshot.open(store, "one").sequence == 1
    assert [snapshot.id for snapshot in Snapshot.every(store)] == ["one", "two"]


@pytest.mark.parametrize("name", ["three", "", "../two", "one/../two"])
def test_no_such_snapshot(store: Store, name: str) -> None:
    with pytest.raises(NotFoundError, match="has no snapshot"):
        Snapshot.open(store, name)


def test_an_empty_corpus(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert Snapshot.latest(store).id is None
    assert Snapshot.every(store) == []
    with pytest.raises(NotFoundError, match="no snapshot yet"):
        Snapshot.open(store)


def test_the_latest_row_of_each_key(store: Store) -> None:
    labels = Snapshot.open(store).scan("labels", ["sha256", "label"])
    assert labels.num_rows == 30
    found = dict(zip(*labels.to_pydict().values(), strict=True))
    assert found[sha(0)] == "unknown"
    old = Snapshot.open(store, "one").scan("labels", ["sha256", "label"])
    assert dict(zip(*old.to_pydict().values(), strict=True))[sha(0)] == "malicious"


def test_only_some_keys(store: Store) -> None:
    keys = [sha(0), sha(25), sha(99)]
    snapshot = Snapshot.open(store)
    assert set(snapshot.scan("splits", ["sha256"], keys=keys)["sha256"].to_pylist()) == {*keys[:2]}
    chunked = pa.chunked_array([keys[:1], keys[1:]])
    assert snapshot.scan("splits", keys=chunked).num_rows == 2
    assert snapshot.scan("splits", keys=[]).num_rows == 0
    where = pc.field("sha256") == sha(25)
    assert snapshot.scan("splits", ["split"], where=where).column_names == ["split"]


def test_a_table_without_rows(store: Store) -> None:
    snapshot = Snapshot.open(store)
    assert snapshot.files("merges") == []
    assert snapshot.scan("merges", ["group_id", "via"]).column_names == ["group_id", "via"]


def test_vectors_are_of_fixed_size(store: Store) -> None:
    vectors = Snapshot.open(store).scan(VECTORS, ["vector"])
    assert vectors.schema.field("vector").type.list_size == TINY.dim


def test_stats_lie_beside_the_manifest(store: Store) -> None:
    snapshot = Snapshot.open(store)
    assert snapshot.stats["counts"] == snapshot.manifest["counts"]


def test_latest_rows_keep_their_order() -> None:
    rows = pa.table({"k": ["b", "a", "b", "c"], "sequence": [2, 1, 1, 3], "n": [0, 1, 2, 3]})
    assert latest_rows(rows, ["k"])["n"].to_pylist() == [0, 1, 3]
    assert latest_rows(rows.slice(0, 2), ["k"])["n"].to_pylist() == [0, 1]
