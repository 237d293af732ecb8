from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import corpus
from corpus.errors import BadInputError, NotFoundError
from corpus.services.context import Context
from corpus.settings import Settings
from corpus.snapshots.dataset import Dataset, open_snapshot
from corpus.snapshots.label_history import labels_as_of
from corpus.store.staging import Update
from tests.support.building import (
    START,
    TINY,
    build_two,
    context,
    label_row,
    release,
    sha,
    split_row,
    vector,
    vector_row,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return build_two(tmp_path_factory.mktemp("load") / "corpus")


@pytest.fixture(scope="module")
def loaded(made: Context) -> Dataset:
    return open_snapshot("latest", root=made.store.path)


def by_number(table: pa.Table, column: str) -> dict[int, Any]:
    numbers = {sha(n): n for n in range(30)}
    names = table["sha256"].to_pylist()
    return {numbers[s]: v for s, v in zip(names, table[column].to_pylist(), strict=True)}


def test_it_is_what_the_package_offers(made: Context) -> None:
    assert corpus.open_snapshot is open_snapshot
    assert open_snapshot("one", root=Path(made.store.path)).id == "one"


def test_the_settings_say_the_root(made: Context) -> None:
    settings = Settings.load({"store": {"root": made.store.path}})
    assert open_snapshot(settings=settings).id == "two"


def test_all_rows_in_the_order_of_their_sha256(loaded: Dataset) -> None:
    table = loaded.to_arrow()
    assert table.column_names == loaded.columns
    assert table["sha256"].to_pylist() == sorted(sha(n) for n in range(30))
    assert table.schema.field("vector").type == pa.list_(pa.field("item", pa.float32()), TINY.dim)
    assert loaded.counts["samples"] == table.num_rows


def test_columns_come_from_their_tables(loaded: Dataset) -> None:
    table = loaded.to_arrow()
    assert by_number(table, "label")[20] == label_row(20)["label"]
    assert by_number(table, "label")[0] == "unknown"
    assert by_number(table, "family")[6] == "zbot"
    assert by_number(table, "group_id")[4] == sha(8)
    assert by_number(table, "split")[1] == "test"
    assert by_number(table, "first_seen")[3] == START + timedelta(days=3)
    assert by_number(table, "tags") == {n: ["even"] if n % 2 == 0 else [] for n in range(30)}


def test_the_newest_vector_counts(loaded: Dataset, made: Context) -> None:
    found = by_number(loaded.to_arrow(), "vector")
    assert np.array_equal(np.array(found[5], np.float32), vector(5, shift=1.0))
    assert np.array_equal(np.array(found[29], np.float32), vector(29))
    assert found[7] is None
    before = by_number(open_snapshot("one", root=made.store.path).to_arrow(), "vector")
    assert np.array_equal(np.array(before[5], np.float32), vector(5))


def test_a_snapshot_is_not_changed_by_the_next(made: Context) -> None:
    table = open_snapshot("one", root=made.store.path).to_arrow()
    assert table.num_rows == 20
    assert by_number(table, "label")[0] == "malicious"
    assert by_number(table, "split")[1] == "train"


def test_rows_are_chosen_by_value(loaded: Dataset) -> None:
    frame = loaded.to_polars()
    for choice in ({"split": "test"}, {"label": "malicious"}, {"file_type": "elf"}):
        ((name, value),) = choice.items()
        assert loaded.to_polars(**choice).equals(frame.filter(pl.col(name) == value))
    some = loaded.to_polars(split=["train", "validation"], label="benign")
    wanted = pl.col("split").is_in(["train", "validation"]) & (pl.col("label") == "benign")
    assert some.equals(frame.filter(wanted))


def test_columns_are_chosen_by_name(loaded: Dataset) -> None:
    table = loaded.to_arrow(columns=["md5", "label", "raw"], split="test")
    assert table.column_names == ["md5", "label", "raw"]
    with_key = loaded.to_arrow(columns=["sha256", "raw"])
    assert by_number(with_key, "raw")[29] == '{"n": 29}'
    assert by_number(with_key, "raw")[7] is None
    assert loaded.to_arrow(columns=["vector"]).column_names == ["vector"]


def test_polars_has_the_same_rows(loaded: Dataset) -> None:
    frame = loaded.to_polars(split="train")
    assert frame.schema["vector"] == pl.Array(pl.Float32, TINY.dim)
    assert frame["sha256"].to_list() == loaded.to_arrow("train")["sha256"].to_pylist()


def test_numpy_to_train_on(loaded: Dataset) -> None:
    X, y = loaded.to_numpy("train")
    rows = loaded.to_polars(split="train", label=["benign", "malicious"]).drop_nulls("vector")
    assert X.dtype == np.float32
    assert X.flags.c_contiguous
    assert X.shape == (rows.height, TINY.dim)
    assert np.array_equal(X, np.stack(rows["vector"].to_list()))
    assert y.tolist() == [{"benign": 0, "malicious": 1}[label] for label in rows["label"]]


def test_numpy_with_unknown(loaded: Dataset) -> None:
    known, _ = loaded.to_numpy()
    X, y = loaded.to_numpy(labels=("benign", "malicious", "unknown"))
    assert len(X) == len(y) == 29
    # Sample 7 is unknown, too, but has no vector.
    assert len(known) == 30 - loaded.counts["labels"]["unknown"]
    assert sorted(set(y.tolist())) == [-1, 0, 1]


def test_nothing_of_a_split_is_an_empty_array(loaded: Dataset) -> None:
    X, y = loaded.to_numpy("excluded")
    assert X.shape == (0, TINY.dim)
    assert y.shape == (0,)
    table = loaded.to_arrow("excluded")
    assert (table.num_rows, table.column_names) == (0, loaded.columns)


@pytest.mark.parametrize(
    ("choice", "problem"),
    [
        ({"split": "dev"}, "there is no split 'dev'"),
        ({"label": "evil"}, "there is no label 'evil'"),
        ({"file_type": "pdf"}, "there is no file_type 'pdf'"),
        ({"split": []}, "an empty list"),
        ({"columns": ["sha256", "nope"]}, "there is no column 'nope'"),
        ({"columns": "label"}, "a list of names, not the text 'label'"),
        ({"feature_set": "ember-v3"}, "has no feature set 'ember-v3'"),
    ],
)
def test_what_cannot_be_is_refused(loaded: Dataset, choice: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadInputError, match=problem):
        loaded.to_arrow(**choice)


def test_no_such_snapshot(made: Context, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="has no snapshot 'three'"):
        open_snapshot("three", root=made.store.path)
    with pytest.raises(NotFoundError, match="no snapshot yet"):
        open_snapshot(root=tmp_path)


def test_of_several_feature_sets_one_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from corpus import features

    other = features.FeatureSet("other-v1", "corpus.features.basic_v1", {"all": 6})
    monkeypatch.setitem(features._SETS, other.name, other)
    made = build_two(tmp_path)
    update = Update.open(made.store, "three")
    update.write("features-other-v1", [vector_row(n, shift=3.0) for n in range(30)])
    release(made, update)
    loaded = open_snapshot(root=tmp_path)
    with pytest.raises(BadInputError, match="several feature sets") as raised:
        loaded.to_numpy()
    assert "other-v1, tiny-v1" in str(raised.value)
    assert len(loaded.to_numpy(feature_set="other-v1", labels=LABELS)[0]) == 30
    assert loaded.to_arrow(columns=["sha256", "label"]).num_rows == 30


LABELS = ("benign", "malicious", "unknown")


def test_without_any_vector(tmp_path: Path) -> None:
    made = context(tmp_path)
    update = Update.open(made.store, "one")
    update.write("verdicts", [{"verdict_id": sha(0), "sha256": sha(0), "verdict": "benign",
                               "who": "me", "when": START, "confidence": 1.0, "kind": "manifest",
                               "file": "v.csv", "row": 1}])  # fmt: skip
    release(made, update)
    loaded = open_snapshot(root=tmp_path)
    assert loaded.to_arrow().num_rows == 0
    assert "vector" not in loaded.columns
    with pytest.raises(BadInputError, match="no feature set"):
        loaded.to_numpy()


def test_failures_and_rejects_are_rows_too(loaded: Dataset) -> None:
    assert loaded.failures()["sha256"].to_pylist() == [sha(7)]
    assert loaded.rejects().num_rows == 0


def test_labels_with_their_provenance(loaded: Dataset) -> None:
    labels = loaded.labels()
    assert labels["sha256"].to_pylist() == sorted(sha(n) for n in range(30))
    assert "reason" in labels.column_names


def test_labels_as_of_a_time(loaded: Dataset, tmp_path: Path) -> None:
    made = build_two(tmp_path)
    update = Update.open(made.store, "three")
    later = {**label_row(3, "unknown"), "resolved_at": START + timedelta(days=400)}
    update.write("labels", [later])
    update.write("splits", [split_row(3)])
    release(made, update)
    snapshot = open_snapshot(root=tmp_path)
    before = by_number(snapshot.labels(as_of=START + timedelta(days=100)), "label")
    assert before[3] == label_row(3)["label"]
    assert by_number(snapshot.labels(as_of=START + timedelta(days=500)), "label")[3] == "unknown"


def test_a_time_may_be_text_or_a_day(loaded: Dataset) -> None:
    when = max(loaded.labels()["resolved_at"].to_pylist())
    assert loaded.labels(as_of=when.isoformat()).equals(loaded.labels(as_of=when))
    assert loaded.labels(as_of="1999-12-31").num_rows == 0
    day = when.date() + timedelta(days=1)
    assert labels_as_of(loaded.snapshot, day).num_rows == loaded.labels().num_rows
    assert labels_as_of(loaded.snapshot, day - timedelta(days=9)).num_rows == 0
    with pytest.raises(BadInputError, match="as_of"):
        loaded.labels(as_of="yesterday")
