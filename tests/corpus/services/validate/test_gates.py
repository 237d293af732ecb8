"""Each gate, at its thresholds and on both sides of them."""

from __future__ import annotations

from typing import Any

import pytest

from corpus.services.validate import gates
from corpus.settings import GateSettings

pytestmark = pytest.mark.fast

SETTINGS = GateSettings()


def stats(**more: Any) -> dict[str, Any]:
    counts = {
        "samples": 100, "labels": {"malicious": 50, "benign": 50}, "missing": {},
        "vectors": {"a-v1": 95}, "failures_by_set": {"a-v1": {"timeout": 5}},
    }  # fmt: skip
    this_update = {
        "new": 10,
        "vectors": {},
        "re_extracted": {},
        "failures": {},
        "drift": {},
        "orphans": 0,
    }
    return {
        "counts": {**counts, **{k: v for k, v in more.items() if k in counts}},
        "this_update": {**this_update, **{k: v for k, v in more.items() if k not in counts}},
    }


def test_schema_blocks_on_any_violation_and_names_the_first_five() -> None:
    assert gates.schema([]).result == "pass"
    gate = gates.schema([f"labels/s{n}: wrong" for n in range(7)])
    assert (gate.result, gate.value) == ("block", 7)
    assert "labels/s4" in gate.message
    assert "2 more" in gate.message


def test_completeness_counts_vectors_and_failures_of_every_set() -> None:
    assert gates.completeness(stats(), ["a-v1"]).result == "pass"
    gate = gates.completeness(stats(), ["a-v1", "b-v1"])
    assert (gate.result, gate.value) == ("block", 100)
    assert "100 without a b-v1 vector or failure" in gate.message
    # More than the new ones: somebody has named another set, and not asked for the old ones.
    assert "re-extract" in gate.message
    assert "re-extract" not in gates.completeness(stats(vectors={"a-v1": 90}), ["a-v1"]).message


def test_rows_of_what_is_no_sample_block() -> None:
    gate = gates.completeness(stats(orphans=2), ["a-v1"])
    assert (gate.result, gate.value) == ("block", 2)


@pytest.mark.parametrize("what", ["label", "group", "split"])
def test_completeness_blocks_on_a_sample_without(what: str) -> None:
    gate = gates.completeness(stats(missing={what: 1}), ["a-v1"])
    assert (gate.result, gate.value) == ("block", 1)
    assert f"1 without a {what}" in gate.message


@pytest.mark.parametrize(
    ("failed", "tried", "result"),
    [(2, 100, "pass"), (3, 100, "warn"), (20, 100, "warn"), (21, 100, "block"), (9, 9, "warn"),
     (10, 10, "block"), (0, 1, "pass")],
)  # fmt: skip
def test_failure_share(failed: int, tried: int, result: str) -> None:
    found = stats(vectors={"a-v1": 0})
    found["this_update"]["vectors"] = {"a-v1": tried - failed} if tried > failed else {}
    found["this_update"]["failures"] = {"a-v1": failed} if failed else {}
    (gate,) = gates.failure_share(found, SETTINGS)
    assert (gate.name, gate.result) == ("failure_share/a-v1", result)
    assert gate.value == failed / tried


def test_failure_share_without_extractions_passes_without_a_number() -> None:
    (gate,) = gates.failure_share(stats(), SETTINGS)
    assert (gate.result, gate.value) == ("pass", None)


@pytest.mark.parametrize(
    ("malicious", "benign", "block", "result"),
    [(50, 50, 0.0, "pass"), (4, 96, 0.0, "warn"), (0, 100, 0.0, "warn"), (4, 96, 0.05, "block"),
     (5, 95, 0.05, "pass"), (0, 0, 0.0, "warn")],
)  # fmt: skip
def test_label_balance(malicious: int, benign: int, block: float, result: str) -> None:
    found = stats(labels={"malicious": malicious, "benign": benign, "unknown": 7})
    settings = GateSettings(min_class_share_block=block)
    assert gates.label_balance(found, settings).result == result


@pytest.mark.parametrize(("was", "result"), [(90, "pass"), (5, "warn"), (0, "pass")])
def test_growth_is_over_the_last_snapshot(was: int, result: str) -> None:
    growth, lost = gates.size(stats(samples=was + 10), stats(samples=was), SETTINGS)
    assert (growth.result, lost.result) == (result, "pass")
    assert growth.value == (10 / was if was else None)


def test_a_corpus_never_shrinks() -> None:
    _, lost = gates.size(stats(samples=105), {"counts": {"samples": 100}}, SETTINGS)
    assert (lost.result, lost.value) == ("block", 5)


@pytest.mark.parametrize(("index", "result"), [(0.25, "pass"), (0.26, "warn"), (10.1, "block")])
def test_drift_is_judged_for_each_group(index: float, result: str) -> None:
    drift = {"a-v1": {"vectors": 200, "reference": 500, "psi": {"g": index, "h": 0.0}}}
    first, second = gates.drift(stats(drift=drift), SETTINGS)
    assert (first.name, first.result, first.value) == ("drift/a-v1/g", result, index)
    assert second.result == "pass"


@pytest.mark.parametrize(
    ("vectors", "psi", "reason"),
    [(199, {"g": 99.0}, "199 vectors are fewer than 200"), (500, {}, "too few to compare")],
)
def test_drift_is_not_judged_on_too_few(vectors: int, psi: dict[str, float], reason: str) -> None:
    drift = {"a-v1": {"vectors": vectors, "reference": 1, "psi": psi}}
    (gate,) = gates.drift(stats(drift=drift), SETTINGS)
    assert (gate.result, gate.value) == ("pass", None)
    assert reason in gate.message


def test_leakage_must_be_zero() -> None:
    assert gates.leakage([], [], []).result == "pass"
    gate = gates.leakage(["g1", "g2"], ["s1"], [])
    assert (gate.result, gate.value) == ("block", 3)
    assert "2 groups on more than one side (such as g1)" in gate.message


def test_the_worst_gate_decides_and_strict_blocks_on_a_warning() -> None:
    good, warned = gates.schema([]), gates.label_balance(stats(labels={}), SETTINGS)
    assert gates.overall([good]) == "pass"
    assert gates.overall([good, warned]) == "warn"
    assert gates.overall([good, warned], strict=True) == "block"
    assert gates.overall([good, gates.schema(["x"])]) == "block"


def test_unidentified_samples_are_a_share_of_the_new_ones() -> None:
    found = stats()
    found["this_update"].update(new=1000, failures={"ingest": 15})
    (gate,) = gates.failure_share(found, SETTINGS)
    assert (gate.name, gate.result, gate.value) == ("failure_share/ingest", "pass", 0.015)
    assert "15 of 1000 identifications failed" in gate.message
