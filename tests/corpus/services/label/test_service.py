"""label: which samples are resolved, what is staged, and how labels change over updates."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from corpus.errors import BadSettingError
from corpus.snapshots.label_history import labels_as_of
from corpus.store.snapshots import Snapshot
from corpus.store.staging import Update
from tests.support.verdict_corpus import FIRST_SEEN, Corpus, sha

pytestmark = pytest.mark.fast


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path)


def staged(corpus: Corpus, update: str) -> list[dict[str, object]]:
    return Update.open(corpus.context.store, update).read("labels").to_pylist()


def report_line(sample: str, detections: int, day: int) -> str:
    results = ",".join(
        f'"E{n}": {{"category": "{"malicious" if n < detections else "undetected"}"}}'
        for n in range(60)
    )
    when = int((FIRST_SEEN + timedelta(days=day)).timestamp())
    return (
        f'{{"attributes": {{"sha256": "{sha(sample)}", "last_analysis_date": {when}, '
        f'"first_submission_date": {int(FIRST_SEEN.timestamp())}, '
        f'"last_analysis_results": {{{results}}}}}}}\n'
    )


def test_every_new_sample_gets_a_row(corpus: Corpus) -> None:
    corpus.manifest(
        "a.csv",
        {"sha256": "bad", "verdict": "malicious", "who": "analyst", "family": "Emotet"},
        {"sha256": "good", "verdict": "benign", "who": "feed"},
        {"sha256": "torn", "verdict": "benign", "who": "feed"},
        {"sha256": "torn", "verdict": "malicious", "who": "other"},
        {"sha256": "elsewhere", "verdict": "malicious"},
    )
    report = corpus.update("u1", ["bad", "good", "torn", "silent"])
    assert report.samples == 4
    assert report.labels == {"malicious": 1, "benign": 1, "unknown": 2}
    assert report.reasons == {"analyst": 1, "conflict": 1, "manifest": 1, "no_verdict": 1}
    assert (report.changed, report.due_for_reread) == (0, 0)
    labels = corpus.labels()
    assert set(labels) == {sha(name) for name in ("bad", "good", "torn", "silent")}
    bad = labels[sha("bad")]
    assert (bad["label"], bad["family"], bad["reason"]) == ("malicious", "emotet", "analyst")
    assert labels[sha("torn")]["reason"] == "conflict: feed benign, other malicious"
    assert bad["policy"] == Snapshot.open(corpus.context.store).manifest["label_policy"]["digest"]


def test_nothing_new_stages_nothing(corpus: Corpus) -> None:
    corpus.update("u1", ["one"])
    assert corpus.label("u2").samples == 0
    assert staged(corpus, "u2") == []
    assert corpus.label("u3", relabel=True).samples == 1
    assert Update.open(corpus.context.store, "u3").parts("labels") == []


def test_a_late_verdict_changes_the_label_at_the_next_update(corpus: Corpus) -> None:
    corpus.update("u1", ["one", "two"])
    corpus.manifest("late.csv", {"sha256": "one", "verdict": "malicious", "who": "feed"})
    report = corpus.update("u2", ["three"])
    assert (report.samples, report.changed) == (2, 1)
    assert report.labels == {"malicious": 1, "benign": 0, "unknown": 1}
    labels = corpus.labels()
    assert labels[sha("one")]["label"] == "malicious"
    assert labels[sha("one")]["update_id"] == "u2"
    assert labels[sha("two")]["update_id"] == "u1"

    # A second one, that agrees: what the label rests on is new, the label is not.
    corpus.manifest("later.csv", {"sha256": "one", "verdict": "malicious", "who": "zoo"})
    report = corpus.update("u3")
    assert (report.samples, report.changed) == (1, 0)
    assert corpus.labels()[sha("one")]["reason"] == "manifest: feed, zoo"


def test_a_verdict_may_come_before_its_sample(corpus: Corpus) -> None:
    corpus.manifest("early.csv", {"sha256": "one", "verdict": "benign", "who": "feed"})
    corpus.update("u1", ["two"])
    assert corpus.update("u2", ["one"]).labels["benign"] == 1


def test_another_policy_labels_everything_again(corpus: Corpus) -> None:
    (corpus.verdicts / "vt.jsonl").write_text(
        report_line("few", 6, 200) + report_line("many", 40, 200) + report_line("none", 0, 200)
    )
    corpus.update("u1", ["few", "many", "none"])
    assert corpus.labels()[sha("few")]["label"] == "malicious"
    corpus.overrides = {"verdicts": {"malicious_threshold": 10}}
    report = corpus.update("u2")
    assert (report.samples, report.changed) == (3, 1)
    few = corpus.labels()[sha("few")]
    assert (few["label"], few["reason"]) == ("unknown", "undecided: virustotal unknown (6 of 60)")
    assert corpus.update("u3").samples == 0


def test_a_retry_stages_the_same_bytes(corpus: Corpus) -> None:
    corpus.manifest("a.csv", {"sha256": "one", "verdict": "malicious"})
    update = corpus.begin("u1", ["two", "one"])
    corpus.import_verdicts("u1")
    first = corpus.label("u1")
    digest = update.staged_digest()
    assert corpus.label("u1") == first
    assert update.staged_digest() == digest
    assert [row["sha256"] for row in staged(corpus, "u1")] == sorted([sha("one"), sha("two")])


def test_many_samples_are_resolved_in_batches(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"s{n}" for n in range(25)]
    for number in (1, 2):
        corpus.manifest(
            f"{number}.csv",
            *({"sha256": n, "verdict": "benign", "who": f"w{number}"} for n in names[number::2]),
        )
    corpus.update("u1", names)
    whole = corpus.labels()
    assert {row["label"] for row in whole.values()} == {"benign", "unknown"}
    monkeypatch.setattr("corpus.services.label.service._BATCH", 4)
    assert corpus.label("u2", relabel=True).samples == 25
    assert staged(corpus, "u2") == []
    corpus.overrides = {"labels": {"min_confidence": 0.6}}
    corpus.update("u3")
    again = corpus.labels()
    assert {s: row["label"] for s, row in again.items()} == {
        s: row["label"] for s, row in whole.items()
    }


def test_the_shards_do_not_matter(corpus: Corpus) -> None:
    update = corpus.begin("u1", ["one", "two"])
    update.write("samples", [{"sha256": sha("two"), "first_seen": FIRST_SEEN}], "shard-0001")
    assert corpus.label("u1").samples == 2


def test_reports_that_are_due(corpus: Corpus) -> None:
    (corpus.verdicts / "vt.jsonl").write_text(
        report_line("young", 9, 10) + report_line("old", 9, 200) + report_line("mended", 9, 20)
    )
    corpus.update("u1", ["young", "old", "mended"])
    assert [corpus.labels()[sha(n)]["provisional"] for n in ("young", "old", "mended")] == [
        True,
        False,
        True,
    ]
    (corpus.verdicts / "again.jsonl").write_text(report_line("mended", 20, 120))
    assert corpus.update("u2").due_for_reread == 2
    assert corpus.labels()[sha("mended")]["provisional"] is False
    assert corpus.update("u3").due_for_reread == 1


def test_labels_as_they_stood(corpus: Corpus) -> None:
    corpus.update("u1", ["one"])
    corpus.manifest("late.csv", {"sha256": "one", "verdict": "malicious"})
    corpus.update("u2", ["two"])
    snapshot = Snapshot.open(corpus.context.store)

    def stood(when: datetime) -> dict[str, str]:
        rows = labels_as_of(snapshot, when).to_pylist()
        return {row["sha256"]: row["label"] for row in rows}

    began = {
        name: datetime.fromisoformat(Update.open(corpus.context.store, name).record["began_at"])
        for name in ("u1", "u2")
    }
    instant = timedelta(microseconds=1)
    assert stood(began["u1"] - instant) == {}
    assert stood(began["u1"]) == {sha("one"): "unknown"}
    assert stood(began["u2"] - instant) == {sha("one"): "unknown"}
    assert stood(began["u2"]) == {sha("one"): "malicious", sha("two"): "unknown"}
    assert stood(began["u2"].replace(tzinfo=None)) == stood(began["u2"])


def test_a_policy_that_contradicts_itself(corpus: Corpus) -> None:
    corpus.overrides = {"verdicts": {"benign_threshold": 7}}
    corpus.begin("u1", ["one"])
    with pytest.raises(BadSettingError, match="benign_threshold"):
        corpus.label("u1")
