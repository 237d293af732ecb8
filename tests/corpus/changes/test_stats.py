"""The stats of an update are those of all rows, though only what it touches is read."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus.changes import drift, stats
from corpus.changes.rows import anything
from corpus.store.object_store import Store
from corpus.store.snapshots import Snapshot
from tests.support import rows


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpus.features.get", lambda name: rows.TINY, raising=False)


def recomputed(snapshot: Snapshot) -> dict[str, Any]:
    """The counts of a snapshot from all its rows."""
    samples = pl.from_arrow(snapshot.scan("samples", ["sha256", "file_type", "arch", "size"]))
    for table, columns in (
        ("labels", ["sha256", "label", "family"]),
        ("groups", ["sha256", "group_id"]),
        ("splits", ["sha256", "split", "first_seen"]),
    ):
        samples = samples.join(
            pl.from_arrow(snapshot.scan(table, columns)), on="sha256", how="left"
        )
    vectors = pl.concat(
        [
            pl.from_arrow(snapshot.scan(f"features-{name}", ["sha256"])).with_columns(
                feature_set=pl.lit(name)
            )
            for name in snapshot.feature_sets
        ]
        or [pl.DataFrame(schema={"sha256": pl.String, "feature_set": pl.String})]
    )
    failures = pl.from_arrow(
        snapshot.scan("failures", ["sha256", "service", "feature_set", "reason"])
    )
    tally = stats.tally_samples(samples)
    tally.update(stats.tally_vectors(vectors, failures))
    tally.update(stats.tally_rejects(pl.from_arrow(snapshot.scan("rejects"))))
    tally["counts", "groups"] = len(set(snapshot.scan("groups")["group_id"].to_pylist()))
    return stats.nested(tally)


numbers = st.integers(0, 11)
an_update = st.fixed_dictionaries(
    {
        "samples": st.dictionaries(
            numbers, st.tuples(st.sampled_from(["pe", "elf"]), st.integers(0, 2**20)), max_size=6
        ),
        "labels": st.dictionaries(
            numbers,
            st.tuples(
                st.sampled_from(["malicious", "benign", "unknown"]),
                st.sampled_from([None, "a", "<b>"]),
            ),
            max_size=6,
        ),
        "groups": st.dictionaries(numbers, st.integers(0, 4), max_size=6),
        "splits": st.dictionaries(
            numbers,
            st.tuples(
                st.sampled_from(["train", "test", "excluded"]), st.sampled_from([None, 0, 1, 60])
            ),
            max_size=6,
        ),
        "vectors": st.dictionaries(numbers, st.sampled_from([0.0, 1.0]), max_size=6),
        "failures": st.dictionaries(numbers, st.sampled_from(["timeout", "crash"]), max_size=6),
        "rejects": st.lists(
            st.tuples(st.sampled_from(["unsupported", "bomb"]), st.integers(1, 9)), max_size=3
        ),
        "parts": st.integers(1, 3),
    }
)


def stage(update: Any, content: dict[str, Any]) -> None:
    made = {
        "samples": [
            rows.sample(n, file_type=t, size=s) for n, (t, s) in content["samples"].items()
        ],
        "labels": [rows.label(n, *value) for n, value in content["labels"].items()],
        "groups": [rows.group(n, g) for n, g in content["groups"].items()],
        "splits": [rows.split(n, s, week=w) for n, (s, w) in content["splits"].items()],
        "features-tiny-v1": [
            r for n, s in content["vectors"].items() for r in rows.vectors([n], s)
        ],
        "failures": [rows.failure(n, reason) for n, reason in content["failures"].items()],
        "rejects": [
            {"location": "l", "reason": reason, "file_type": "zip", "files": files}
            for reason, files in content["rejects"]
        ],
    }
    for table, staged in made.items():
        for part in range(content["parts"]):
            if own := staged[part :: content["parts"]]:
                rows.stage(update, table, own, f"shard-{part}")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(updates=st.lists(an_update, min_size=1, max_size=3))
def test_incremental_stats_are_those_of_all_rows(
    tmp_path_factory: pytest.TempPathFactory, updates: list[dict[str, Any]]
) -> None:
    store = Store(tmp_path_factory.mktemp("corpus"))
    there: set[int] = set()
    for number, content in enumerate(updates):
        update = rows.begin(store, f"u{number}")
        there |= content["samples"].keys()
        # Rows of what is no sample are not counted on: validate refuses them.
        for table in ("labels", "groups", "splits", "vectors", "failures"):
            content[table] = {n: value for n, value in content[table].items() if n in there}
        stage(update, content)
        manifest = rows.release(update)
        found = Snapshot.open(store).stats
        expected = recomputed(Snapshot(store, manifest))
        assert {name: found[name] for name in expected} == expected
        assert len(found["growth"]) == number + 1


def test_what_an_update_changes_is_counted(tmp_path: Any) -> None:
    store = Store(tmp_path)
    first = rows.begin(store, "one")
    rows.stage_new(first, range(4))
    rows.stage(first, "failures", [rows.failure(3)])
    rows.release(first)
    second = rows.begin(store, "two")
    rows.stage_new(second, [4, 5])
    # 0 and 1 keep what they have, although their rows are staged again.
    rows.stage(second, "labels", [rows.label(1), rows.label(2, "malicious", "emotet")], "late")
    rows.stage(second, "groups", [rows.group(0), rows.group(2, 1)], "late")
    rows.stage(second, "splits", [rows.split(0), rows.split(3, "test")], "late")
    rows.stage(second, "features-tiny-v1", [*rows.vectors([0]), *rows.vectors([1], 1.0)], "late")
    rows.stage(second, "failures", [rows.failure(3), rows.failure(1), rows.failure(77)])
    found = stats.updated_stats(second)
    this_update = found["this_update"]
    assert this_update.pop("drift")["tiny-v1"]["vectors"] == 4
    assert this_update == {
        "new": 2, "relabelled": 1, "regrouped": 1, "moved": 1, "refamilied": 1,
        "re_extracted": {"tiny-v1": 1}, "vectors": {"tiny-v1": 2}, "failures": {"tiny-v1": 2},
        "verdicts": 0, "new_rejects": 0, "rejects": 0, "unsupported": 0, "orphans": 1,
    }  # fmt: skip
    # Group 2 is gone: its only sample went over to group 1.
    assert found["counts"]["groups"] == 5
    assert found["families"] == {"emotet": 1}


def test_the_same_rows_again_change_nothing(tmp_path: Any) -> None:
    store = Store(tmp_path)
    for name in ("one", "two"):
        update = rows.begin(store, name)
        rows.stage_new(update, range(3))
        rows.stage(update, "failures", [rows.failure(2)])
        rows.stage(update, "rejects", [{"location": "l", "reason": "bomb"}])
        found = stats.updated_stats(update)
        assert anything(found["this_update"]) == (name == "one")
        rows.release(update, found)


def test_stats_do_not_depend_on_how_rows_are_cut_into_shards(tmp_path: Any) -> None:
    found = []
    for name, shards in (("a", [range(300)]), ("b", [range(200, 300), range(50), range(50, 200)])):
        update = rows.begin(Store(tmp_path / name), "u")
        update.record["began_at"] = "2024-01-01T00:00:00+00:00"
        for number, own in enumerate(shards):
            rows.stage_new(update, own, f"shard-{number}")
        found.append(stats.updated_stats(update))
    assert found[0] == found[1]
    assert found[0]["drift"]["tiny-v1"]["vectors"] == 300


def test_the_reference_is_fixed_once_there_are_enough_vectors(tmp_path: Any) -> None:
    store = Store(tmp_path)
    references = []
    for number, size in enumerate((150, 150, 100)):
        update = rows.begin(store, f"u{number}")
        rows.stage_new(update, range(number * 1000, number * 1000 + size))
        rows.release(update)
        references.append(Snapshot.open(store).stats["drift"]["tiny-v1"])
    assert "groups" not in references[0]
    second, third = (reference["groups"]["left"]["norm"] for reference in references[1:])
    assert second["edges"] == third["edges"]
    assert (sum(second["counts"]), sum(third["counts"])) == (300, 400)
    assert max(second["counts"]) == min(second["counts"]) == 30


def test_psi_is_small_for_the_same_distribution_and_large_for_another() -> None:
    def scalars(seed: int, shift: float) -> list[drift.Scalars]:
        values = np.random.default_rng(seed).normal(size=(2000, 6)) + shift
        return [drift.scalars(values.astype(np.float32), rows.TINY.groups)]

    reference = drift.extended(drift.no_reference(), scalars(1, 0.0))
    assert max(drift.indexes(reference, scalars(2, 0.0)).values()) < 0.02
    assert min(drift.indexes(reference, scalars(3, 0.7)).values()) > 0.25


def test_psi_by_hand() -> None:
    # (0.5 - 0.25) ln 2 + (0.5 - 0.75) ln(2/3)
    assert drift.psi(np.array([25, 75]), np.array([50, 50])) == pytest.approx(0.274653, abs=1e-6)
    assert drift.psi(np.array([1, 0]), np.array([0, 1])) == pytest.approx(2 * 0.9999 * np.log(1e4))


@pytest.mark.parametrize("value", [0.5, -0.5])
def test_a_group_that_was_constant_drifts_both_ways(value: float) -> None:
    constant = {"g": {"mean": np.zeros(500)}}
    reference = drift.extended(drift.no_reference(), [constant])
    assert drift.indexes(reference, [constant]) == {"g": 0.0}
    assert drift.indexes(reference, [{"g": {"mean": np.full(500, value)}}])["g"] > 10


def test_sizes_and_weeks() -> None:
    frame = pl.DataFrame(
        {"sha256": ["a", "b", "c"], "size": [1023, 1024, 0], "file_type": ["pe"] * 3, "arch": [None] * 3,
         "label": ["benign"] * 3, "family": [None] * 3, "group_id": ["g"] * 3, "split": ["train"] * 3,
         "first_seen": [rows.START, None, rows.START]},
        schema_overrides={"arch": pl.String, "family": pl.String},
    )  # fmt: skip
    found = stats.nested(Counter(stats.tally_samples(frame)))
    assert found["sizes"] == {"0": 1, "9": 1, "10": 1}
    assert found["weeks"] == {"2024-W01": {"benign": 2}, "undated": {"benign": 1}}
