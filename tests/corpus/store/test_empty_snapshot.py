"""The empty parent of the first update behaves as a snapshot does, in which nothing was published."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from corpus.changes import content
from corpus.store.content_digest import ContentDigest
from corpus.store.frames import published, published_with
from corpus.store.object_store import Store
from corpus.store.records import checked
from corpus.store.schemas import TABLES
from corpus.store.snapshots import EmptySnapshot, Snapshot, parent_of
from corpus.store.statistics import STATISTICS
from tests.support.building import VECTORS, build_two, sha


@pytest.fixture
def empty(tmp_path: Path) -> EmptySnapshot:
    found = parent_of(Store(tmp_path), None)
    assert isinstance(found, EmptySnapshot)
    return found


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return Snapshot.open(build_two(tmp_path_factory.mktemp("full") / "corpus").store, "one")


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_it_has_all_that_a_snapshot_has(empty: EmptySnapshot, one: Snapshot) -> None:
    # What opens snapshots is no part of one.
    assert public(one) - {"open", "latest", "every"} == public(empty)
    assert set(empty.manifest) <= set(one.manifest)


def test_who_it_is(empty: EmptySnapshot) -> None:
    assert (empty.id, empty.sequence, empty.digest) == (None, 0, None)
    assert (empty.tables, empty.feature_sets) == ([], {})
    assert empty.nothing_new.startswith("there is nothing to publish")


@pytest.mark.parametrize("table", [*TABLES, VECTORS, "features-never-heard-of"])
def test_every_table_is_there_and_has_no_rows(
    empty: EmptySnapshot, one: Snapshot, table: str
) -> None:
    assert empty.files(table) == []
    assert empty.table(table) == {"version": None, "files": []}
    spec = empty.spec(table)
    assert spec.key == one.spec(table).key
    column = spec.schema.names[0]
    for found in (
        empty.scan(table),
        empty.scan(table, [column]),
        empty.scan_with(table, [column], column, [sha(1)]),
        empty.every_row(table, [column]),
        *([empty.scan(table, keys=[sha(1)]), empty.scan(table, keys=[])] if spec.key else []),
    ):
        assert found.num_rows == 0
        assert found.schema.field(column).equals(spec.schema.field(column))
    assert published(empty, table, [column]).columns == [column]
    values = published(one, table, [column])[column]
    assert published_with(empty, table, [column], column, values).height == 0


def test_columns_are_those_of_a_snapshot_with_rows(empty: EmptySnapshot, one: Snapshot) -> None:
    for table, spec in TABLES.items():
        assert empty.scan(table).schema.equals(one.scan(table).schema), table
        assert published(empty, table, spec.schema.names).schema == (
            published(one, table, spec.schema.names).schema
        )


def test_its_numbers_are_of_nothing(empty: EmptySnapshot) -> None:
    stats = checked(empty.stats, STATISTICS, "stats")
    assert stats["counts"] == empty.manifest["counts"]
    assert (stats["counts"]["samples"], stats["growth"], stats["drift"]) == (0, [], {})
    assert empty.manifest["label_policy"]["digest"] is None
    assert set(empty.manifest["splits"].values()) == {None, 0}


def test_its_content_is_that_of_no_rows(empty: EmptySnapshot) -> None:
    state = base64.b64decode(empty.manifest["content_state"])
    assert ContentDigest(state).hexdigest() == empty.manifest["content_digest"]
    rows = content.of_snapshot(empty)
    assert rows.height == 0
    assert content.digest_of(rows).hexdigest() == empty.manifest["content_digest"]


def test_a_lookup_of_no_values_finds_nothing(one: Snapshot) -> None:
    assert one.scan("samples", ["sha256"], keys=[]).num_rows == 0
    assert one.scan_with("splits", ["sha256"], "group_id", []).num_rows == 0
