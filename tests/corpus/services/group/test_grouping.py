"""Groups: what links connect, whatever the order; and what must stay apart."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pyarrow as pa
import pytest
import tlsh
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.errors import BadInputError
from corpus.services.group.grouping import Grouping, group_samples
from corpus.settings import GroupSettings
from corpus.store.schemas import GROUPS
from tests.support.mini_corpus import Made, at

NET = "f34d5f2d4577ed6d9ceec516c1f5a744"


def grouped(
    new: list[Made],
    base: list[tuple[Made, str, int]] | None = None,
    splits: dict[str, str] | None = None,
    **options: Any,
) -> Grouping:
    """`base` has samples with group id and sequence; `splits` the split of each group id."""
    rows = [
        {"sha256": s.sha256, "group_id": g, "tlsh": s.tlsh, "imphash": s.imphash, "sequence": n}
        for s, g, n in base or []
    ]
    of_sample = {s.sha256: (splits or {}).get(g) for s, g, _ in base or []}
    table = pa.Table.from_pylist(rows, schema=GROUPS.schema).select(
        ["sha256", "group_id", "tlsh", "imphash", "sequence"]
    )
    samples = pa.table(
        {
            name: pa.array([getattr(s, name) for s in new], pa.string())
            for name in ("sha256", "tlsh", "imphash")
        }
    )
    return group_samples(
        samples,
        table,
        lambda wanted: {s: split for s in wanted if (split := of_sample[s])},
        GroupSettings(**options),
    )


def by_name(grouping: Grouping, samples: list[Made]) -> dict[str, dict[str, Any]]:
    rows = {row["sha256"]: row for row in grouping.rows.to_pylist()}
    return {s.name: rows[s.sha256] for s in samples if s.sha256 in rows}


def linked(a: Made, b: Made, limit: int = 30) -> bool:
    near = bool(a.tlsh and b.tlsh and tlsh.diff(a.tlsh, b.tlsh) <= limit)
    return near or (a.imphash is not None and a.imphash == b.imphash != NET)


def components(samples: list[Made], limit: int = 30) -> set[frozenset[str]]:
    parts = [{s.name} for s in samples]
    for a, b in combinations(samples, 2):
        if linked(a, b, limit):
            left = next(p for p in parts if a.name in p)
            right = next(p for p in parts if b.name in p)
            if left is not right:
                parts.remove(right)
                left |= right
    return {frozenset(part) for part in parts}


@st.composite
def made(draw: st.DrawFn, prefix: str = "s", most: int = 14) -> list[Made]:
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 250) | st.none(),
                st.integers(0, 1),
                st.sampled_from([None, None, None, "aa", "bb", NET]),
            ),
            max_size=most,
        )
    )
    return [
        Made(f"{prefix}{n}", imphash=imphash)
        if position is None
        else at(f"{prefix}{n}", position, line=line * 8, imphash=imphash)
        for n, (position, line, imphash) in enumerate(rows)
    ]


@settings(max_examples=150, deadline=None)
@given(made(), st.integers(0, 50), st.randoms(use_true_random=False))
def test_groups_are_what_links_connect(samples: list[Made], limit: int, random: Any) -> None:
    grouping = grouped(samples, tlsh_distance=limit)
    rows = by_name(grouping, samples)
    ids: dict[str, set[str]] = {}
    for name, row in rows.items():
        ids.setdefault(row["group_id"], set()).add(name)
    assert {frozenset(part) for part in ids.values()} == components(samples, limit)
    for group_id, part in ids.items():
        assert group_id == min(s.group_id for s in samples if s.name in part)
    random.shuffle(samples)
    again = grouped(samples, tlsh_distance=limit)
    assert again.rows.equals(grouping.rows)
    assert again.largest == max(map(len, ids.values()), default=0)
    assert grouping.founded == len(ids)
    assert grouping.founded + sum(grouping.joined.values()) == len(samples)


@settings(max_examples=150, deadline=None)
@given(made())
def test_each_row_names_the_nearest_sample_of_its_group(samples: list[Made]) -> None:
    rows = by_name(grouped(samples), samples)
    by_sha = {s.sha256: s for s in samples}
    for sample in samples:
        row = rows[sample.name]
        mates = [
            s
            for s in samples
            if s is not sample and rows[s.name]["group_id"] == row["group_id"] and linked(s, sample)
        ]
        near = [tlsh.diff(s.tlsh, sample.tlsh) for s in mates if s.tlsh and sample.tlsh]
        near = [distance for distance in near if distance <= 30]
        if row["group_id"] == sample.group_id:
            assert (row["reason"], row["neighbour"], row["distance"]) == ("new", None, None)
        elif near:
            other = by_sha[row["neighbour"]]
            assert (row["reason"], row["distance"]) == ("tlsh", min(near))
            assert tlsh.diff(other.tlsh, sample.tlsh) == min(near)
        else:
            assert (row["reason"], row["distance"]) == ("imphash", None)
            assert by_sha[row["neighbour"]] in mates


def test_a_sample_joins_the_group_of_its_neighbour() -> None:
    old, new = at("old", 0), at("new", 30)
    grouping = grouped([new], [(old, "g-old", 1)], {"g-old": "train"})
    row = by_name(grouping, [new])["new"]
    assert (row["group_id"], row["reason"]) == ("g-old", "tlsh")
    assert (row["neighbour"], row["distance"]) == (old.sha256, 30)
    assert (grouping.founded, grouping.joined["tlsh"], grouping.largest) == (0, 1, 2)


def test_of_equally_near_samples_the_older_is_the_neighbour() -> None:
    old, new, twin = at("old", 0), at("new", 10), at("twin", 20)
    rows = by_name(grouped([new, twin], [(old, "g-old", 1)]), [new, twin])
    assert rows["new"]["neighbour"] == old.sha256
    assert rows["twin"]["neighbour"] == new.sha256


def test_one_step_too_far_founds_a_group() -> None:
    new = at("new", 31)
    grouping = grouped([new], [(at("old", 0), "g-old", 1)])
    assert by_name(grouping, [new])["new"]["group_id"] == new.group_id


def test_samples_without_digest_and_imphash_are_alone() -> None:
    grouping = grouped([Made("a"), Made("b")], [(Made("old"), "g-old", 1)])
    assert (grouping.founded, grouping.largest) == (2, 1)


@pytest.mark.parametrize(
    ("imphash", "options", "joined"),
    [
        ("aa", {}, 1),
        ("aa", {"imphash": False}, 0),
        ("aa", {"ignored_imphashes": ["AA"]}, 0),
        (NET, {}, 0),
        (NET, {"ignored_imphashes": []}, 1),
        ("", {}, 0),
    ],
)
def test_import_hashes_link_as_the_settings_say(
    imphash: str, options: dict[str, Any], joined: int
) -> None:
    old, new = Made("old", imphash=imphash), Made("new", imphash=imphash)
    grouping = grouped([new], [(old, "g-old", 1)], **options)
    assert grouping.joined == {"tlsh": 0, "imphash": joined}
    if joined:
        row = by_name(grouping, [new])["new"]
        assert (row["reason"], row["neighbour"]) == ("imphash", old.sha256)
        assert (row["distance"], row["imphash"]) == (None, imphash)


def test_groups_of_one_split_merge_into_the_oldest() -> None:
    young, old, newest = at("young", 0), at("old", 50), at("newest", 90)
    mate = at("mate", 0, line=8, imphash="aa")
    base = [(young, "g-1", 3), (old, "g-2", 1), (newest, "g-3", 3), (mate, "g-3", 4)]
    new = [at("x", 25), at("y", 70)]
    grouping = grouped(new, base, {"g-1": "test", "g-2": "test", "g-3": "test"})
    rows = by_name(grouping, [*new, young, old, newest, mate])
    assert {row["group_id"] for row in rows.values()} == {"g-2"}
    assert "old" not in rows
    assert rows["mate"]["reason"] == "merge"
    assert rows["mate"]["neighbour"] == new[1].sha256
    assert (rows["mate"]["imphash"], rows["mate"]["tlsh"]) == ("aa", mate.tlsh)
    merges = {m["merged_id"]: m for m in grouping.merges}
    assert {m["status"] for m in grouping.merges} == {"merged"}
    assert (merges["g-1"]["via"], merges["g-1"]["reason"]) == (new[0].sha256, "tlsh")
    assert (merges["g-3"]["via"], merges["g-3"]["group_id"]) == (new[1].sha256, "g-2")
    assert grouping.largest == 6


def test_of_groups_equally_old_the_least_id_survives() -> None:
    base = [(at("a", 0), "g-b", 1), (at("b", 50), "g-a", 1)]
    assert grouped([at("x", 25)], base).merges[0]["group_id"] == "g-a"


def test_groups_of_two_splits_do_not_merge() -> None:
    past, future = at("past", 0), at("future", 50)
    bridge, follower = at("bridge", 25), at("follower", 22)
    base = [(past, "g-past", 1), (future, "g-future", 2)]
    sides = {"g-past": "train", "g-future": "test"}
    grouping = grouped([bridge, follower], base, sides)
    rows = by_name(grouping, [past, future, bridge, follower])
    assert rows.keys() == {"bridge", "follower"}
    founder = min([bridge, follower], key=lambda s: s.sha256)
    assert {row["group_id"] for row in rows.values()} == {founder.group_id}
    (merge,) = grouping.merges
    assert (merge["status"], merge["group_id"], merge["merged_id"]) == (
        "refused", "g-past", "g-future",
    )  # fmt: skip
    assert "train" in merge["detail"]
    assert "test" in merge["detail"]


def sides_after(new: list[Made], base: list[tuple[Made, str, int]], sides: dict[str, str]) -> Any:
    """Group of each new sample; `-` for those in a group founded now."""
    rows = by_name(grouped(new, base, sides), new)
    return {n: g if (g := row["group_id"]) in sides else "-" for n, row in rows.items()}


def test_only_the_border_is_left_out() -> None:
    base = [(at("t", 0), "T", 1), (at("s", 140), "S", 1)]
    sides = {"T": "train", "S": "test"}
    chain = [at(f"c{p}", p) for p in (20, 40, 60, 80, 100, 120)]
    assert sides_after(chain, base, sides) == {
        "c20": "T", "c40": "T", "c60": "-", "c80": "-", "c100": "S", "c120": "S",
    }  # fmt: skip
    # With a sample fewer one of them is as near to both.
    odd = [at(f"c{p}", p) for p in (28, 56, 84, 112)]
    assert sides_after(odd, base, sides) == {"c28": "T", "c56": "-", "c84": "-", "c112": "S"}
    middle = [at(f"c{p}", p) for p in (30, 60, 80, 110)]
    assert sides_after([*middle, at("end", 170)], base, sides) == {
        "c30": "T", "c60": "-", "c80": "-", "c110": "S", "end": "S",
    }  # fmt: skip


def test_what_is_near_one_side_and_a_bridge_joins_the_side() -> None:
    base = [(at("t", 0), "T", 1), (at("s", 50), "S", 1)]
    sides = {"T": "train", "S": "test"}
    assert sides_after([at("x", 10), at("bridge", 25)], base, sides) == {"x": "T", "bridge": "-"}
    # The same two in two updates.
    later = [*base, (at("bridge", 25), "B", 2)]
    assert sides_after([at("x", 10)], later, {**sides, "B": "excluded"}) == {"x": "T"}


def test_what_is_near_a_bridge_alone_joins_the_bridge() -> None:
    base = [(at("t", 0), "T", 1), (at("s", 50), "S", 1), (at("b", 25, imphash="aa"), "B", 2)]
    sides = {"T": "train", "S": "test", "B": "excluded"}
    assert sides_after([Made("x", imphash="aa")], base, sides) == {"x": "B"}
    # Behind it a sample that is linked to nothing else, and one that has a side.
    new = [Made("x", imphash="aa"), at("y", 25, line=8, imphash="aa"), at("z", 8, imphash="aa")]
    assert sides_after(new, base, sides) == {"x": "T", "y": "T", "z": "T"}


def test_excluded_groups_merge_with_each_other_only() -> None:
    base = [(at("a", 0), "A", 2), (at("b", 50), "B", 1), (at("t", 100), "T", 1)]
    sides = {"A": "excluded", "B": "excluded", "T": "train"}
    grouping = grouped([at("x", 25), at("y", 75)], base, sides)
    rows = by_name(grouping, [at("x", 0), at("y", 0)])
    assert (rows["x"]["group_id"], rows["y"]["group_id"]) == ("B", "T")
    (merge,) = grouping.merges
    assert (merge["status"], merge["merged_id"]) == ("merged", "A")


@settings(max_examples=200, deadline=None)
@given(made("s"), made("b", 8), st.data())
def test_no_two_sides_touch(samples: list[Made], past: list[Made], data: st.DataObject) -> None:
    # A base as the rules make it: what is linked is one group, and has one split.
    first = by_name(grouped(past), past)
    base = [(s, first[s.name]["group_id"], 1) for s in past]
    splits = {
        g: data.draw(st.sampled_from(["train", "validation", "test", "excluded"]))
        for g in sorted({g for _, g, _ in base})
    }
    grouping = grouped(samples, base, splits)
    rows = by_name(grouping, [*samples, *past])
    group_of = {s.name: g for s, g, _ in base} | {n: row["group_id"] for n, row in rows.items()}
    refused = {m["via"] for m in grouping.merges if m["status"] == "refused"}
    shut = {g for g, split in splits.items() if split == "excluded"}
    shut |= {rows[s.name]["group_id"] for s in samples if s.sha256 in refused}
    for a, b in combinations([*samples, *past], 2):
        if linked(a, b):
            ids = {group_of[a.name], group_of[b.name]}
            assert len(ids) == 1 or ids & shut
    # A merge keeps within a split, and nothing leaves the split that it had.
    for merge in grouping.merges:
        same = splits[merge["group_id"]] == splits[merge["merged_id"]]
        assert same or merge["status"] == "refused"
    for sample, group_id, _ in base:
        assert splits[group_of[sample.name]] == splits[group_id]
    # No sample is left out without a reason: its group touches two sides, or what was left out.
    for group_id in {g for g in group_of.values() if g in shut and g not in splits}:
        mates = [s for s in samples if group_of[s.name] == group_id]
        touched = {
            group_of[o.name] for o in [*samples, *past] for m in mates if linked(o, m)
        } - shut
        assert len({splits[g] for g in touched}) > 1
    assert grouped(samples[::-1], base[::-1], splits).merges == grouping.merges


def test_a_malformed_digest_is_bad_input() -> None:
    with pytest.raises(BadInputError, match="TLSH digest"):
        grouped([Made("x", tlsh="T1ABC")])


def test_nothing_new_is_nothing_grouped() -> None:
    grouping = grouped([], [(at("old", 0), "g", 1), (at("older", 9), "g", 1)])
    assert (grouping.rows.num_rows, grouping.merges, grouping.largest) == (0, [], 2)
