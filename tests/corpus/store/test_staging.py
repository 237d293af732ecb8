from __future__ import annotations

from pathlib import Path

import pytest

from corpus.errors import BadInputError, ConflictError, NotFoundError
from corpus.services.context import Context
from corpus.store.staging import Update, existing
from corpus.store.update_record import new_update_id
from tests.support.building import build, context, label_row, sample_row, sha

pytestmark = pytest.mark.fast


@pytest.fixture
def made(tmp_path: Path) -> Context:
    return context(tmp_path / "corpus")


def test_an_update_is_begun_once(made: Context) -> None:
    first = Update.open(made.store, "u", {"run_id": "r"})
    again = Update.open(made.store, "u", {"run_id": "another"})
    assert again.record == first.record
    assert again.record["run"] == {"run_id": "r"}
    assert (first.parent.id, first.parent.sequence, first.sequence) == (None, 0, 1)


def test_the_parent_is_the_one_it_began_with(made: Context) -> None:
    Update.open(made.store, "early")
    build(made, "one", range(4))
    assert existing(made.store, "early").parent.id is None
    late = Update.open(made.store, "late")
    assert (late.parent.id, late.sequence) == ("one", 2)


def test_a_stale_update_is_refused(made: Context) -> None:
    early = Update.open(made.store, "early")
    build(made, "one", range(4))
    with pytest.raises(ConflictError, match="built on an empty corpus, but one is the latest"):
        early.refuse_if_stale()
    existing(made.store, "one").refuse_if_stale()
    Update.open(made.store, "two").refuse_if_stale()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a" * 101, "a b", "a\n"])
def test_ids_that_are_none(made: Context, name: str) -> None:
    with pytest.raises(BadInputError, match="is not an update id"):
        Update.open(made.store, name)


def test_an_update_that_was_never_begun(made: Context) -> None:
    made.store.write_bytes("a", b"")
    with pytest.raises(NotFoundError, match="no update 'u'"):
        existing(made.store, "u")


def test_new_ids_sort_by_time() -> None:
    assert new_update_id() <= new_update_id()


def test_an_update_whose_name_is_older_than_the_latest_snapshot_does_not_begin(
    made: Context,
) -> None:
    early = Update.open(made.store, "20240101T000000-aaaaaaaa")
    build(made, "20240102T000000-bbbbbbbb", range(4))
    for late in ("20240101T235959-cccccccc", "20240101T235959.999Z"):
        with pytest.raises(ConflictError, match="20240102T000000-bbbbbbbb is newer than its name"):
            Update.open(made.store, late)
        with pytest.raises(NotFoundError):
            existing(made.store, late)
    # What had begun is what it was; what is newer, or has a name that a person chose, begins.
    assert Update.open(made.store, early.id).record == early.record
    for name in ("20240102T000001-dddddddd", new_update_id(), "20240101", "one"):
        assert Update.open(made.store, name).parent.id == "20240102T000000-bbbbbbbb"


def test_a_snapshot_from_a_clock_that_was_ahead_holds_nobody_up(made: Context) -> None:
    build(made, "29990101T000000-aaaaaaaa", range(4))
    assert Update.open(made.store, new_update_id()).sequence == 2


def test_a_part_is_replaced_not_added_to(made: Context) -> None:
    update = Update.open(made.store, "u")
    update.write("labels", [label_row(n) for n in range(4)])
    update.write("labels", [label_row(n) for n in range(2)])
    rows = update.read("labels")
    assert rows.num_rows == 2
    assert rows["update_id"].to_pylist() == ["u", "u"]
    assert rows["sequence"].to_pylist() == [1, 1]


def test_rows_are_of_the_first_part_that_has_them(made: Context) -> None:
    update = Update.open(made.store, "u")
    update.write("samples", [sample_row(made.store, n) for n in (0, 1)], "shard-0001")
    other = {**sample_row(made.store, 1), "location": "elsewhere"}
    update.write("samples", [other, sample_row(made.store, 2)], "shard-0002")
    rows = update.read("samples", ["location"])
    assert sorted(rows["location"].to_pylist()) == ["in/0.exe", "in/1.exe", "in/2.exe"]
    assert update.samples_of("shard-0001")["sha256"].to_pylist() == [sha(0), sha(1)]
    assert update.samples_of("shard-0002")["sha256"].to_pylist() == [sha(2)]


def test_nothing_staged_is_an_empty_table(made: Context) -> None:
    update = Update.open(made.store, "u")
    assert update.read("labels", ["sha256", "label"]).num_rows == 0
    assert (update.tables(), update.shards(), update.reports("label")) == ([], [], [])
    assert not update.has("labels")


def test_the_digest_is_of_rows_not_of_reports(made: Context) -> None:
    update = Update.open(made.store, "u")
    empty = update.staged_digest()
    update.write_report("label", {"labelled": 1})
    assert update.staged_digest() == empty
    update.write("labels", [label_row(0)])
    first = update.staged_digest()
    update.write("labels", [label_row(0, "unknown")])
    assert len({empty, first, update.staged_digest()}) == 3
    update.write("labels", [label_row(0)])
    assert update.staged_digest() == first
    assert update.tables() == ["labels"]


def test_the_name_of_a_part_counts(made: Context) -> None:
    update, other = Update.open(made.store, "u"), Update.open(made.store, "u2")
    update.write("labels", [label_row(0)], "a")
    before = update.staged_digest()
    update.write("labels", [label_row(0)], "b")
    assert update.staged_digest() != before
    other.write("labels", [label_row(0)], "a")
    assert other.tables() == update.tables()
