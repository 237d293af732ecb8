"""The service `split`, over real updates: nobody moves, nothing leaks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import tlsh
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.services.publish.head import cuts_of
from corpus.store.staging import Update
from tests.support.mini_corpus import START, Made, MiniCorpus, at, staged

CUT = {"splits": {"validation_from": "2024-02-01", "test_from": "2024-03-01"}}
LATER_CUT = {"splits": {"validation_from": "2024-02-20", "test_from": "2024-12-01"}}


def verdict(sample: Made, day: float | None, n: int = 0) -> dict[str, Any]:
    seen = None if day is None else START + timedelta(days=day)
    return {"verdict_id": f"v{n}-{sample.sha256}", "sha256": sample.sha256, "first_seen": seen}


def test_the_first_snapshot_fixes_the_cuts(tmp_path: Path) -> None:
    corpus = MiniCorpus(tmp_path)
    weeks = [Made(f"w{n}", day=7 * n) for n in range(64)]
    _, report = corpus.run("u1", weeks)
    assert report.splits == {"train": 48, "validation": 4, "test": 12, "excluded": 0}
    assert (report.method, report.undated, report.moved) == ("time", 0, 0)
    assert report.cuts == {
        "method": "time", "validation_from": "2024-12-02", "test_from": "2024-12-30",
        "ratio": [0.7, 0.1, 0.2], "seed": 0, "undated": 0,
    }  # fmt: skip
    later = [Made(f"later{n}", day=7 * n) for n in (0, 50, 64, 200)]
    _, second = corpus.run("u2", later)
    assert second.cuts == report.cuts
    assert second.splits == {"train": 1, "validation": 1, "test": 2, "excluded": 0}


def test_undated_samples_go_by_ratio_until_dates_come(tmp_path: Path) -> None:
    corpus = MiniCorpus(tmp_path)
    _, report = corpus.run("u1", [Made(f"s{n}", day=None) for n in range(30)])
    assert (report.method, report.undated) == ("ratio", 30)
    assert report.cuts["test_from"] is None
    before = corpus.splits()
    _, second = corpus.run("u2", [Made(f"d{n}", day=7 * n) for n in range(64)])
    assert (second.method, second.undated, second.moved) == ("mixed", 30, 0)
    assert second.cuts["test_from"] == "2024-12-30"
    assert before.items() <= corpus.splits().items()
    _, third = corpus.run("u3", [])
    assert third.cuts == second.cuts


def test_first_seen_is_the_earliest_that_anything_knows(tmp_path: Path) -> None:
    corpus = MiniCorpus(tmp_path, CUT)
    a, b, c, d = (Made(name, day=day) for name, day in zip("abcd", (90, None, 90, 0), strict=True))
    corpus.run("u1", [], verdicts=[verdict(a, 40), verdict(a, None, 1)])
    corpus.run("u2", [a, b, c, d], verdicts=[verdict(b, 0), verdict(b, 90, 1), verdict(d, 90)])
    splits = corpus.splits()
    assert [splits[s.sha256] for s in (a, b, c, d)] == ["validation", "train", "test", "train"]
    assert corpus.table("splits")[a.sha256]["first_seen"] == START + timedelta(days=40)


def test_a_late_verdict_moves_nobody_until_asked(tmp_path: Path) -> None:
    corpus = MiniCorpus(tmp_path, CUT)
    a, b = Made("a", day=90), Made("b", day=0)
    corpus.run("u1", [a, b])
    _, report = corpus.run("u2", [], verdicts=[verdict(a, 0)])
    assert (report.moved, corpus.splits()[a.sha256]) == (0, "test")
    update = corpus.stage("u3", [])
    corpus.group("u3")
    moved = corpus.split("u3", resplit=True)
    assert (moved.moved, moved.samples) == (1, 0)
    assert [(row["sha256"], row["split"]) for row in staged(update, "splits")] == [
        (a.sha256, "train")
    ]


def test_resplit_keeps_groups_whole_and_bridges_out(tmp_path: Path) -> None:
    corpus = MiniCorpus(tmp_path, CUT)
    old, new, bridge = at("old", 0, day=0), at("new", 50, day=90), at("bridge", 25, day=90)
    mate = at("mate", 8, day=90)
    corpus.run("u1", [old, new, Made("x", day=40)])
    corpus.run("u2", [bridge, at("twin", 24, day=0)])
    assert corpus.splits()[bridge.sha256] == "excluded"
    moved = MiniCorpus(
        tmp_path, {"splits": {"validation_from": "2023-01-01", "test_from": "2024-02-20"}}
    )
    _, report = moved.run("u3", [mate, at("far", 150, day=0)], resplit=True)
    splits = {
        name: moved.splits()[Made(name).sha256]
        for name in ("old", "new", "bridge", "twin", "mate", "x", "far")
    }
    assert splits == {
        "old": "validation", "new": "test", "bridge": "excluded", "twin": "excluded",
        "mate": "validation", "x": "validation", "far": "validation",
    }  # fmt: skip
    assert (report.moved, report.samples) == (1, 2)
    assert report.cuts["test_from"] == "2024-02-20"


def test_bridges_are_excluded_and_say_so(tmp_path: Path) -> None:
    corpus = MiniCorpus(tmp_path, CUT)
    corpus.run("u1", [at("old", 0, day=0), at("new", 50, day=90)])
    bridge = at("bridge", 25, day=0)
    groups, report = corpus.run("u2", [bridge])
    assert (groups.refused, groups.merged, report.splits["excluded"]) == (1, 0, 1)
    row = corpus.table("splits")[bridge.sha256]
    assert (row["split"], row["reason"], row["group_id"]) == ("excluded", "bridge", bridge.group_id)
    # What is near the bridge alone goes with it.
    shadow = at("shadow", 25, line=0, day=0, imphash="aa")
    corpus.run("u3", [shadow])
    only = Made("only", imphash="aa", day=0)
    corpus.run("u4", [only])
    assert corpus.splits()[only.sha256] == "excluded"
    assert corpus.table("splits")[only.sha256]["reason"] == "group"


def test_splitting_again_stages_the_same_bytes(tmp_path: Path) -> None:
    corpus = MiniCorpus(tmp_path, CUT)
    corpus.run("u1", [at("a", 0), at("b", 60)])
    update = corpus.stage("u2", [at("c", 30), Made("d", day=None)])
    corpus.group("u2")
    report = corpus.split("u2")
    (key,) = update.parts("splits")
    before = corpus.store.read_bytes(key)
    assert corpus.split("u2") == report
    assert corpus.store.read_bytes(key) == before


def test_cuts_of_an_update(tmp_path: Path) -> None:
    corpus = MiniCorpus(tmp_path, CUT)
    update = corpus.stage("u1", [Made("a")])
    assert cuts_of(update)["test_from"] is None
    assert cuts_of(update)["undated"] == 0
    corpus.run("u1", [Made("a")])
    later = Update.open(corpus.store, "u2")
    # Nothing was split in it, so the base's cuts stay.
    assert cuts_of(later)["test_from"] == "2024-03-01"


@st.composite
def histories(draw: st.DrawFn) -> list[list[Made]]:
    rows = st.tuples(
        st.integers(0, 250) | st.none(),
        st.sampled_from([None, None, None, "aa", "bb"]),
        st.sampled_from([None, 0, 40, 90]),
    )
    updates = draw(st.lists(st.lists(rows, max_size=7), min_size=1, max_size=5))
    return [
        [
            Made(f"u{u}s{n}", imphash=imphash, day=day)
            if position is None
            else at(f"u{u}s{n}", position, imphash=imphash, day=day)
            for n, (position, imphash, day) in enumerate(update)
        ]
        for u, update in enumerate(updates)
    ]


def near(samples: list[Made]) -> Iterator[tuple[str, str]]:
    for a, b in combinations(samples, 2):
        if (a.tlsh and b.tlsh and tlsh.diff(a.tlsh, b.tlsh) <= 30) or (
            a.imphash and a.imphash == b.imphash
        ):
            yield a.sha256, b.sha256


@settings(max_examples=30, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_over_many_updates_nobody_moves_and_nothing_leaks(
    history: list[list[Made]], random: Any
) -> None:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        corpus, shuffled = MiniCorpus(Path(folder), CUT), MiniCorpus(Path(other), CUT)
        everything: list[Made] = []
        before: dict[str, str] = {}
        ids: dict[str, str] = {}
        for number, samples in enumerate(history):
            corpus.run(f"u{number}", samples)
            shuffled.run(
                f"u{number}", random.sample(samples, len(samples)), shards=random.randint(1, 3)
            )
            everything += samples
            splits, groups = corpus.splits(), corpus.group_ids()
            rows = corpus.table("splits")
            assert shuffled.splits() == splits
            assert shuffled.group_ids() == groups

            # No sample twice or missing, and none of the past moved.
            assert splits.keys() == groups.keys() == {s.sha256 for s in everything}
            assert before.items() <= splits.items()
            # A group has one split, and the splits know the group as it is now.
            assert {s: row["group_id"] for s, row in rows.items()} == groups
            assert len(set(groups.values())) == len({(groups[s], splits[s]) for s in groups})
            # An id changes only by a merge that is on record.
            merged = {
                m["merged_id"]: m["group_id"] for m in corpus.merges() if m["status"] == "merged"
            }
            for sha256, old in ids.items():
                while old in merged and old != groups[sha256]:
                    old = merged[old]
                assert old == groups[sha256]
            for a, b in near(everything):
                assert groups[a] == groups[b] or "excluded" in (splits[a], splits[b])
            before, ids = splits, groups

        # Asked for, all may move, but groups do so as a whole.
        corpus = MiniCorpus(Path(folder), LATER_CUT)
        _, report = corpus.run("resplit", [], resplit=True)
        splits = corpus.splits()
        assert splits.keys() == ids.keys()
        assert len(set(ids.values())) == len({(ids[s], splits[s]) for s in ids})
        for a, b in near(everything):
            assert ids[a] == ids[b] or "excluded" in (splits[a], splits[b])
        assert report.moved == sum(splits[s] != before[s] for s in before)
