"""Indexes: look-ups give with them what they give without, and reading less."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from corpus.errors import DamagedError
from corpus.services.context import Context
from corpus.store import index
from corpus.store.object_store import Store
from corpus.store.schemas import SAMPLES, SPLITS
from corpus.store.snapshots import Snapshot
from tests.support.building import VECTORS, build_two, sha

TABLES = {
    "samples": ["sha256", "size"],
    "labels": ["sha256", "label"],
    "groups": ["sha256", "group_id"],
    "splits": ["sha256", "split", "group_id"],
    VECTORS: ["sha256", "vector_sha256"],
    "seen_files": ["location", "fingerprint"],
}


@pytest.fixture
def made(tmp_path: Path) -> Context:
    return build_two(tmp_path)


def rows(found: pa.Table) -> list[dict[str, Any]]:
    return sorted(found.to_pylist(), key=str)


def look_ups(snapshot: Snapshot) -> Iterator[list[dict[str, Any]]]:
    for table, columns in TABLES.items():
        known = [sha(n) for n in (0, 5, 29)] if columns[0] == "sha256" else ["in/3.exe"]
        for keys in ([sha(1)], known[:1], [*known[:2], "nobody"], ["nobody"], []):
            yield rows(snapshot.scan(table, columns, keys=keys))
            yield rows(snapshot.scan(table, columns[:1], keys=keys))
    for table in ("groups", "splits"):
        for groups in ([sha(4)], [sha(8), sha(20)], ["nobody"], []):
            yield rows(snapshot.scan_with(table, ["sha256"], "group_id", groups))


def test_look_ups_find_the_same_with_and_without(made: Context) -> None:
    snapshot = Snapshot.open(made.store)
    with_index = list(look_ups(snapshot))
    made.store.delete("index")
    assert list(look_ups(snapshot)) == with_index
    assert any(with_index)


def test_rows_of_an_indexed_column_are_as_they_stand_now(made: Context) -> None:
    snapshot = Snapshot.open(made.store)
    # Sample 4 went over to the group of sample 8.
    assert snapshot.scan_with("groups", ["sha256"], "group_id", [sha(4)]).num_rows == 0
    found = snapshot.scan_with("groups", ["sha256"], "group_id", [sha(8)])
    assert set(found["sha256"].to_pylist()) == {sha(4), sha(8)}


def test_files_that_lack_all_values_are_not_opened(
    made: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    dataset = Store.dataset

    def note(store: Store, keys: list[str], schema: pa.Schema) -> Any:
        opened.extend(keys)
        return dataset(store, keys, schema)

    monkeypatch.setattr(Store, "dataset", note)
    snapshot = Snapshot.open(made.store)
    first, second = (entry["key"] for entry in snapshot.files("samples"))
    assert snapshot.scan("samples", ["size"], keys=[sha(99)]).num_rows == 0
    assert opened == []
    assert snapshot.scan("samples", ["size"], keys=[sha(25)]).num_rows == 1
    assert opened == [second]
    # Many values at once are not looked up one by one.
    assert snapshot.scan("samples", ["size"], keys=[sha(n) for n in range(30)]).num_rows == 30
    assert opened == [second, first, second]


def test_publish_makes_what_is_missing(made: Context) -> None:
    names = made.store.list("index")
    assert len(names) == sum(
        len(snapshot.spec(table).indexed) * len(snapshot.files(table))
        for snapshot in [Snapshot.open(made.store)]
        for table in snapshot.manifest["tables"]
    )
    content = {name: made.store.read_bytes(name) for name in names}
    made.store.delete("index/samples")
    files = Snapshot.open(made.store).files("samples")
    index.complete(made.store, SAMPLES, files)
    assert {name: made.store.read_bytes(name) for name in made.store.list("index")} == content


def test_a_damaged_index_is_told(made: Context) -> None:
    snapshot = Snapshot.open(made.store)
    name = index.key("splits", snapshot.files("splits")[0]["sha256"], "group_id")
    data = bytearray(made.store.read_bytes(name))
    data[20] ^= 1
    made.store.write_bytes(name, bytes(data))
    with pytest.raises(DamagedError, match="publish makes it anew"):
        index.look_up(made.store, SPLITS, snapshot.files("splits"), "group_id", pa.array(["x"]))


def test_hashes_leave_out_nulls_and_take_any_text() -> None:
    assert len(index.hashes(["a", None, "\N{SNOWMAN}", ""])) == 3
    assert (
        index.hashes(["a"]).tolist() == index.hashes(["a"]).tolist() != index.hashes(["b"]).tolist()
    )
