"""The service `group`, over real updates of a small corpus."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.errors import BadInputError
from tests.support.mini_corpus import Made, MiniCorpus, at, staged

pytestmark = pytest.mark.fast


def test_the_first_update_founds_groups(tmp_path: Path) -> None:
    corpus = MiniCorpus(tmp_path)
    samples = [at("a", 0), at("b", 20), at("c", 100), Made("d")]
    report, _ = corpus.run("u1", samples)
    assert report.model_dump() == {
        "update": "u1", "samples": 4, "groups_new": 3, "joined": {"tlsh": 1, "imphash": 0},
        "merged": 0, "refused": 0, "largest_group": 2,
    }  # fmt: skip
    ids = corpus.group_ids()
    first = min(samples[:2], key=lambda s: s.sha256)
    assert [ids[s.sha256] for s in samples] == [
        first.group_id, first.group_id, samples[2].group_id, samples[3].group_id,
    ]  # fmt: skip


def test_a_later_update_joins_and_merges(tmp_path: Path) -> None:
    corpus = MiniCorpus(tmp_path)
    a, b, c, d = at("a", 0), at("b", 60), at("c", 30), at("d", 90)
    corpus.run("u1", [a])
    corpus.run("u2", [b])
    before = corpus.splits()
    report, split_report = corpus.run("u3", [c, d])
    assert before[a.sha256] == before[b.sha256]
    assert (report.merged, report.largest_group, report.joined["tlsh"]) == (1, 4, 2)
    assert set(corpus.group_ids().values()) == {a.group_id}
    assert {row["group_id"] for row in corpus.table("splits").values()} == {a.group_id}
    assert split_report.moved == 0
    (merge,) = corpus.merges()
    assert (merge["group_id"], merge["merged_id"], merge["via"]) == (
        a.group_id, b.group_id, c.sha256,
    )  # fmt: skip


def test_shards_and_their_order_do_not_matter(tmp_path: Path) -> None:
    samples = [at(f"s{n}", 12 * n % 250, imphash="aa" if n % 5 == 0 else None) for n in range(40)]
    rows = []
    for n, (order, shards) in enumerate(
        [(samples, 1), (samples[::-1], 3), (samples[7:] + samples[:7], 5)]
    ):
        corpus = MiniCorpus(tmp_path / str(n))
        update = corpus.stage("u", order, shards=shards)
        corpus.group("u")
        rows.append((staged(update, "groups"), staged(update, "merges")))
    assert rows[0] == rows[1] == rows[2]


def test_grouping_again_stages_the_same_bytes(tmp_path: Path) -> None:
    corpus = MiniCorpus(tmp_path)
    corpus.run("u1", [at("a", 0), at("b", 60)])
    update = corpus.stage("u2", [at("c", 30), at("d", 100)])
    report = corpus.group("u2")
    keys = [*update.parts("groups"), *update.parts("merges")]
    before = [corpus.store.read_bytes(key) for key in keys]
    assert corpus.group("u2") == report
    assert [corpus.store.read_bytes(key) for key in keys] == before
    assert len(keys) == 2


def test_what_was_staged_and_is_gone_is_not_published(tmp_path: Path) -> None:
    corpus = MiniCorpus(tmp_path)
    corpus.run("u1", [at("a", 0), at("b", 60)])
    update = corpus.stage("u2", [at("c", 30)])
    assert corpus.group("u2").merged == 1
    corpus.split("u2")
    corpus.stage("u2", [])
    assert corpus.group("u2").samples == 0
    assert corpus.split("u2").samples == 0
    assert [staged(update, table) for table in ("groups", "merges", "splits")] == [[], [], []]


def test_nothing_new_stages_nothing(tmp_path: Path) -> None:
    corpus = MiniCorpus(tmp_path)
    update = corpus.stage("u1", [], shards=0)
    assert (corpus.group("u1").samples, corpus.split("u1").samples) == (0, 0)
    assert not update.parts("groups")
    assert not update.parts("splits")


def test_samples_that_are_known_keep_their_group(tmp_path: Path) -> None:
    corpus = MiniCorpus(tmp_path)
    corpus.run("u1", [at("a", 0)])
    update = corpus.stage("u2", [at("a", 0), at("b", 5)])
    report = corpus.group("u2")
    assert report.samples == 1
    assert [row["sha256"] for row in staged(update, "groups")] == [at("b", 5).sha256]


def test_a_malformed_digest_stops_the_service(tmp_path: Path) -> None:
    corpus = MiniCorpus(tmp_path)
    update = corpus.stage("u1", [at("a", 0), Made("b", tlsh="T1")])
    with pytest.raises(BadInputError, match="TLSH digest"):
        corpus.group("u1")
    assert not update.parts("groups")
