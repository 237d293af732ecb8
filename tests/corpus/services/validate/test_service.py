"""validate on staged updates: what passes, what blocks, and what it says then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus.contract.progress import Progress
from corpus.contract.reports import ValidateReport
from corpus.contract.requests import ValidateRequest
from corpus.errors import BadInputError, BlockedError, NotFoundError, NothingNewError
from corpus.services.context import Context
from corpus.services.validate.service import validate
from corpus.settings import Settings
from corpus.store.object_store import Store
from corpus.store.staging import Update
from tests.support import rows

PINNED = {"features": {"sets": ["tiny-v1"]}}


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpus.features.get", lambda name: rows.TINY, raising=False)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(Settings(**PINNED), Store(tmp_path), Progress(write=lambda line: None))


def published(context: Context, size: int = 20) -> None:
    update = rows.begin(context.store, "base")
    rows.stage_new(update, range(size))
    rows.release(update)


def run(context: Context, update: Update, **options: Any) -> ValidateReport:
    return validate(ValidateRequest(update=update.id, **options), context)


def blocking(context: Context, update: Update, **options: Any) -> dict[str, dict[str, Any]]:
    with pytest.raises(BlockedError) as error:
        run(context, update, **options)
    (report,) = update.reports("validate")
    assert report["result"] == "block"
    for gate in error.value.fields["gates"]:
        assert gate["name"] in str(error.value)
    return {gate["name"]: gate for gate in error.value.fields["gates"]}


def test_a_good_update_passes_and_its_report_is_staged(context: Context) -> None:
    published(context)
    update = rows.begin(context.store, "new")
    rows.stage_new(update, range(100, 110))
    report = run(context, update)
    assert (report.result, report.counts["samples"], report.this_update["new"]) == ("pass", 30, 10)
    assert report.staged_digest == update.staged_digest()
    assert update.reports("validate") == [report.model_dump(mode="json")]
    assert run(context, update) == report


def test_each_gate_is_said_on_a_line(context: Context) -> None:
    lines: list[str] = []
    update = rows.begin(context.store, "new")
    rows.stage_new(update, range(10))
    report = run(Context(context.settings, context.store, Progress(write=lines.append)), update)
    assert [line.split()[1].rstrip(":") for line in lines] == [gate.name for gate in report.gates]


def test_shards_in_another_order_give_the_same_judgement(context: Context) -> None:
    reports = []
    for name, shards in (("a", [range(10), range(10, 30)]), ("b", [range(20, 30), range(20)])):
        update = rows.begin(context.store, name)
        for number, own in enumerate(shards):
            rows.stage_new(update, own, f"shard-{number}")
        found = run(context, update)
        reports.append(found.model_copy(update={"update": "", "staged_digest": ""}))
    assert reports[0] == reports[1]


def test_nothing_staged_is_nothing_new(context: Context) -> None:
    published(context)
    update = rows.begin(context.store, "new")
    with pytest.raises(NothingNewError):
        run(context, update)
    rows.stage(update, "seen_files", [{"location": "l", "fingerprint": "f", "source": "s"}])
    rows.stage(update, "labels", [rows.label(1)])
    with pytest.raises(NothingNewError):
        run(context, update)


def test_an_update_must_be_named_and_exist(context: Context) -> None:
    with pytest.raises(BadInputError, match="an update is needed"):
        validate(ValidateRequest(), context)
    with pytest.raises(NotFoundError):
        validate(ValidateRequest(update="none"), context)


@pytest.mark.parametrize(
    ("table", "row", "said"),
    [
        ("labels", {**rows.label(1), "label": "bad"}, "1 rows with a label other than"),
        ("labels", {**rows.label(1), "label": None}, "1 rows with a label other than"),
        ("splits", {**rows.split(1), "split": "dev"}, "1 rows with a split other than"),
        ("samples", {**rows.sample(1), "sha256": "AB"}, "sha256 is not 64 hexadecimal digits"),
        ("samples", {**rows.sample(1), "blob_sha256": None}, "blob_sha256 is not 64"),
        (
            "features-tiny-v1",
            {**rows.vectors([1])[0], "vector": [np.nan] * 6},
            "6 values of vectors",
        ),
        ("features-tiny-v1", {**rows.vectors([1])[0], "vector": [np.inf] + [0] * 5}, "1 values of"),
        ("features-tiny-v1", {**rows.vectors([1])[0], "vector": None}, "missing values"),
    ],
)
def test_values_that_are_not_allowed_block(
    context: Context, table: str, row: dict[str, Any], said: str
) -> None:
    update = rows.begin(context.store, "new")
    rows.stage_new(update, range(10, 20))
    rows.stage(update, table, [row], "shard-9")
    gate = blocking(context, update)["schema"]
    assert f"{table}/shard-9.parquet" in gate["message"]
    assert said in gate["message"]


def test_a_part_of_another_form_blocks(context: Context) -> None:
    update = rows.begin(context.store, "new")
    rows.stage_new(update, range(10))
    key = f"{update.prefix}/groups/odd.parquet"
    context.store.write_table(key, update.read("groups").drop_columns(["reason"]))
    assert "column 'reason' is missing" in blocking(context, update)["schema"]["message"]
    table = update.read("groups", part="all")
    narrow = table.set_column(
        table.schema.get_field_index("distance"), "distance", table["distance"].cast(pa.int64())
    )
    context.store.write_table(key, narrow)
    assert "is int64, not int32" in blocking(context, update)["schema"]["message"]
    context.store.write_bytes(key, b"no parquet")
    assert "not a Parquet file" in blocking(context, update)["schema"]["message"]


def test_a_repeated_key_and_a_row_of_another_update_block(context: Context) -> None:
    update = rows.begin(context.store, "new")
    rows.stage_new(update, range(10))
    rows.stage(update, "labels", [rows.label(50), rows.label(50)], "twice")
    assert "repeat the key" in blocking(context, update)["schema"]["message"]
    other = rows.begin(context.store, "other")
    rows.stage(other, "labels", [rows.label(50)])
    context.store.copy(f"{other.prefix}/labels/all.parquet", f"{update.prefix}/labels/x.parquet")
    rows.stage(update, "labels", [rows.label(50)], "twice")
    assert "1 rows of another update" in blocking(context, update)["schema"]["message"]


def test_a_sample_without_a_split_blocks(context: Context) -> None:
    update = rows.begin(context.store, "new")
    rows.stage_new(update, range(10))
    rows.stage(update, "splits", [rows.split(n) for n in range(9)])
    assert blocking(context, update)["completeness"]["value"] == 1


def test_a_new_feature_set_must_cover_the_base_too(context: Context) -> None:
    published(context, 20)
    update = rows.begin(context.store, "new")
    rows.stage_new(update, [100])
    rows.stage(update, "features-more-v1", rows.vectors([100]))
    gate = blocking(context, update)["completeness"]
    assert gate["value"] == 20
    assert "more-v1" in gate["message"]
    rows.stage(update, "features-more-v1", rows.vectors([*range(20), 100]))
    assert run(context, update).result == "pass"


def test_too_many_failures_block_and_the_setting_is_named(context: Context) -> None:
    update = rows.begin(context.store, "new")
    rows.stage_new(update, range(20))
    rows.stage(update, "features-tiny-v1", rows.vectors(range(15)))
    rows.stage(update, "failures", [rows.failure(n) for n in range(15, 20)])
    with pytest.raises(BlockedError) as error:
        run(context, update)
    assert "failure_share/tiny-v1: 0.25 (warn > 0.02 block > 0.2)" in str(error.value)
    assert "gates.max_failure_share_block" in str(error.value)


def test_strict_blocks_on_a_warning(context: Context) -> None:
    update = rows.begin(context.store, "new")
    rows.stage_new(update, range(20))
    rows.stage(update, "labels", [rows.label(n) for n in range(20)])
    assert run(context, update).result == "warn"
    assert list(blocking(context, update, strict=True)) == ["label_balance"]
    with pytest.raises(BlockedError, match=r"change gates\.min_class_share_warn, then"):
        run(context, update, strict=True)


def test_drift_warns_with_the_group_that_drifted(context: Context) -> None:
    published(context, 400)
    update = rows.begin(context.store, "new")
    rows.stage_new(update, range(1000, 1300), shift=1.0)
    report = run(context, update)
    assert {gate.name for gate in report.gates if gate.result == "warn"} == {
        "drift/tiny-v1/left",
        "drift/tiny-v1/right",
    }


def test_a_group_on_two_sides_blocks(context: Context) -> None:
    update = rows.begin(context.store, "new")
    rows.stage_new(update, range(10))
    rows.stage(update, "groups", [rows.group(n, n // 2) for n in range(10)])
    sides = ["train", "test", "train", "excluded", *["train"] * 6]
    rows.stage(update, "splits", [rows.split(n, sides[n], n // 2) for n in range(10)])
    gate = blocking(context, update)["leakage"]
    assert gate["value"] == 1
    assert rows.sha(0) in gate["message"]


def test_a_new_sample_in_a_group_of_the_base_on_the_other_side_blocks(context: Context) -> None:
    published(context)
    update = rows.begin(context.store, "new")
    rows.stage_new(update, [100])
    rows.stage(update, "groups", [rows.group(100, 3)])
    rows.stage(update, "splits", [rows.split(100, "validation", 3)])
    assert blocking(context, update)["leakage"]["value"] == 1
    rows.stage(update, "splits", [rows.split(100, "excluded", 3)])
    assert run(context, update).result != "block"


def test_the_base_is_read_latest_wins_when_a_sample_changed_its_group(context: Context) -> None:
    published(context)
    move = rows.begin(context.store, "move")
    # 3 was alone in group 3, on the train side; now it is in group 4, so group 3 is free.
    rows.stage(move, "groups", [rows.group(3, 4)])
    rows.stage(move, "splits", [rows.split(3, "train", 4)])
    rows.release(move)
    update = rows.begin(context.store, "new")
    rows.stage_new(update, [100])
    rows.stage(update, "groups", [rows.group(100, 3)])
    rows.stage(update, "splits", [rows.split(100, "test", 3)])
    assert run(context, update).result != "block"
    rows.stage(update, "groups", [rows.group(100, 4)])
    rows.stage(update, "splits", [rows.split(100, "test", 4)])
    assert blocking(context, update)["leakage"]["value"] == 1


def test_groups_merged_over_a_split_block_even_if_split_did_not_run(context: Context) -> None:
    published(context)
    move = rows.begin(context.store, "move")
    rows.stage(move, "splits", [rows.split(5, "test")])
    rows.release(move)
    update = rows.begin(context.store, "new")
    rows.stage(update, "groups", [rows.group(5, 6)])
    gate = blocking(context, update)["leakage"]
    # Group 6 is on two sides, and sample 5 is split as of group 5.
    assert gate["value"] == 2


def test_a_sample_staged_in_two_splits_blocks(context: Context) -> None:
    update = rows.begin(context.store, "new")
    rows.stage_new(update, range(10), "shard-0")
    rows.stage(update, "splits", [rows.split(1, "test")], "shard-1")
    gate = blocking(context, update)["leakage"]
    assert "1 samples in two splits" in gate["message"]
