"""Groups of near-duplicates: what an update's new samples found, join, merge, and must not merge.

A group is what links (corpus/services/group/similarity.py) connect, and it lies on one side of the split as a whole.
Samples of the past never move, so groups of different splits are not merged: new samples between
them are bridges (corpus/services/group/boundary.py), form a group of their own and end up in split `excluded`.
docs/reference/groups-and-splits.md has the rules. New samples are taken in the order of their sha256, which
makes everything here independent of the order in which they came.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from corpus.contract.splits import EXCLUDED
from corpus.services.group.boundary import sides_of_samples
from corpus.services.group.rows import (
    Known,
    Linked,
    largest_group,
    rows_of_absorbed_groups,
    rows_of_new_samples,
)
from corpus.services.group.similarity import (
    NO_LINK,
    ROW_BITS,
    Components,
    NewSamples,
    ParentLinks,
    links_to_parent,
    to_numpy,
)
from corpus.services.group.tlsh_index import Indices
from corpus.settings import GroupSettings

# Takes samples of the parent, gives the split of those that have one.
SplitsOf = Callable[[list[str]], dict[str, str]]


@dataclass(frozen=True)
class Grouping:
    """Rows of `groups` and `merges`; groups founded; samples joined by kind of link; largest group."""

    rows: pa.Table
    merges: list[dict[str, Any]]
    founded: int
    joined: dict[str, int]
    largest: int


def group_samples(
    samples: pa.Table, parent: pa.Table, splits_of: SplitsOf, settings: GroupSettings
) -> Grouping:
    """Group new samples (columns sha256, tlsh, imphash) among themselves and with those of the parent.

    `parent`, the samples of the parent that they may be linked to, has the columns sha256, group_id,
    tlsh, imphash and sequence of table `groups`. Raises `BadInputError` if a digest is malformed.
    """
    samples = samples.select(["sha256", "tlsh", "imphash"]).sort_by("sha256").combine_chunks()
    new = NewSamples.read(samples, settings)
    encoded = parent["group_id"].combine_chunks().dictionary_encode()
    code_of_row = to_numpy(encoded.indices).astype(np.int64)
    found = links_to_parent(new, parent, code_of_row)
    codes, numbers = np.unique(found.group, return_inverse=True)
    links = ParentLinks(found.query, numbers.astype(np.int64), found.best, found.by_tlsh)

    number_of_code = np.full(len(encoded.dictionary), -1)
    number_of_code[codes] = np.arange(len(codes))
    of_row = number_of_code[code_of_row]
    founded = np.full(len(codes), NO_LINK)
    rows = np.flatnonzero(of_row >= 0)
    np.minimum.at(founded, of_row[rows], to_numpy(parent["sequence"])[rows])
    sizes = np.bincount(code_of_row, minlength=len(encoded.dictionary))

    neighbours = parent["sha256"].take(pa.array(links.row)).to_pylist()
    split_of = splits_of(sorted(set(neighbours)))
    splits: list[str | None] = [None] * len(codes)
    for number, sha256 in zip(links.group.tolist(), neighbours, strict=True):
        splits[number] = split_of.get(sha256)
    ids = encoded.dictionary.take(pa.array(codes)).to_pylist()
    # Linked groups first: their numbers are then also positions in `sizes`.
    sizes = np.concatenate([sizes[codes], np.delete(sizes, codes)])
    known = Known(ids, splits, founded, of_row, sizes)
    nodes = Components(len(new) + len(ids))
    nearest = np.full(len(new), NO_LINK)
    linked = Linked(samples, new, parent, links, known, nodes, nearest)
    _connect(linked)
    refused = _part_sides(linked)
    group_ids, merged = _name_groups(linked)
    joining = rows_of_new_samples(linked, group_ids)
    absorbed = rows_of_absorbed_groups(linked, group_ids, merged)
    reasons = joining["reason"].to_pylist()
    return Grouping(
        rows=pa.concat_tables([joining, absorbed]).sort_by("sha256"),
        merges=sorted([*merged, *refused], key=lambda m: (m["group_id"], m["merged_id"], m["via"])),
        founded=reasons.count("new"),
        joined={kind: reasons.count(kind) for kind in ("tlsh", "imphash")},
        largest=largest_group(linked),
    )


def _connect(linked: Linked) -> None:
    """Connect all that is linked, as if there were no sides."""
    new, links, nodes = linked.new, linked.links, linked.components
    nodes.connect(links.query, len(new) + links.group)
    for start, end, distance in new.tlsh_pairs(np.arange(len(new))):
        nodes.connect(start, end)
        _note_nearest(linked, start, end, distance)
    nodes.connect(*new.imphash_chain())


def _note_nearest(linked: Linked, start: Indices, end: Indices, distance: Indices) -> None:
    row = linked.parent.num_rows + end
    np.minimum.at(linked.nearest, start, (distance << ROW_BITS) | row)


def _part_sides(linked: Linked) -> list[dict[str, Any]]:
    """Take apart the components that would connect different splits; gives the merges refused."""
    new, links, known, nodes = linked.new, linked.links, linked.known, linked.components
    count = len(new)
    splits_of_root: dict[int, set[str | None]] = defaultdict(set)
    for node, split in zip(nodes.root[count:].tolist(), known.splits, strict=True):
        splits_of_root[node].add(split)
    contested = [node for node, splits in splits_of_root.items() if len(splits) > 1]
    if not contested:
        return []
    inside = np.flatnonzero(np.isin(nodes.root, contested))
    members = inside[inside < count]
    by_tlsh = list(new.tlsh_pairs(members))
    by_imphash = new.imphash_pairs(members)
    start = np.concatenate([*(batch[0] for batch in by_tlsh), by_imphash[0]])
    end = np.concatenate([*(batch[1] for batch in by_tlsh), by_imphash[1]])

    sides = sorted({split for split in known.splits if split != EXCLUDED}, key=str)
    bit_of_split = {split: 1 << number for number, split in enumerate(sides)}
    bits = np.array([bit_of_split.get(split, 0) for split in known.splits], np.uint8)
    to_side = bits[links.group] != 0
    side = sides_of_samples(count, (start, end), (links.query[to_side], bits[links.group[to_side]]))

    # Connect these components again, but nothing excluded with anything that is not.
    excluded = side == 0
    nodes.reset(inside)
    linked.nearest[members] = NO_LINK
    for a, b, distance in by_tlsh:
        kept = excluded[a] == excluded[b]
        _note_nearest(linked, a[kept], b[kept], distance[kept])
    kept = excluded[start] == excluded[end]
    nodes.connect(start[kept], end[kept])
    kept = np.isin(links.query, members) & (excluded[links.query] != to_side)
    nodes.connect(links.query[kept], count + links.group[kept])
    by_hash = np.arange(len(start)) >= len(start) - len(by_imphash[0])
    return _refused(linked, members[excluded[members]], start, end, by_hash)


def _refused(
    linked: Linked, bridges: Indices, start: Indices, end: Indices, by_hash: Any
) -> list[dict[str, Any]]:
    """The merges that bridges would have made: of the oldest group with each of the others."""
    links, known, root = linked.links, linked.known, linked.components.root
    root_of_group = root[len(linked.new) :]
    group_at: dict[int, int] = {}
    for number in sorted(range(len(known.ids)), key=known.age, reverse=True):
        group_at[int(root_of_group[number])] = number
    pairs = np.isin(start, bridges) & ~np.isin(end, bridges)
    direct = np.isin(links.query, bridges)
    via = np.concatenate([start[pairs], links.query[direct]])
    other = np.concatenate([root[end[pairs]], root_of_group[links.group[direct]]])
    by_hash = np.concatenate([by_hash[pairs], ~links.by_tlsh[direct]])
    reached: dict[int, dict[int, tuple[int, str]]] = defaultdict(dict)
    for node, group, query, kind in _links_by_use(root[via], other, via, by_hash):
        reached[node].setdefault(group_at[group], (query, kind))
    rows = []
    for groups in reached.values():
        oldest, *others = sorted(groups, key=known.age)
        for number in others:
            detail = (
                f"{known.ids[oldest]} is in {known.splits[oldest]} and {known.ids[number]} in "
                f"{known.splits[number]}: samples of the past do not move, so the new samples "
                "between them are excluded."
            )
            rows.append(_merge(linked, oldest, number, groups[number], "refused", detail))
    return rows


def _links_by_use(
    node: Indices, group: Indices, query: Indices, by_hash: Any
) -> list[tuple[int, int, int, str]]:
    """Links out of each node to a group: first from samples that link several groups, then in the
    order of sha256, then by TLSH. Gives node, group, sample, kind of link."""
    frame = pl.DataFrame({"node": node, "group": group, "query": query, "by_hash": by_hash})
    frame = frame.filter(pl.col("node") != pl.col("group")).unique()
    several = pl.col("group").n_unique().over("node", "query") > 1
    frame = frame.sort(~several, "query", "by_hash", "group").select(
        "node",
        "group",
        "query",
        pl.when("by_hash").then(pl.lit("imphash")).otherwise(pl.lit("tlsh")),
    )
    return frame.rows()


def _name_groups(linked: Linked) -> tuple[dict[int, str], list[dict[str, Any]]]:
    """Group ids by root, and a row for each group that is merged into an older one."""
    new, links, known = linked.new, linked.links, linked.known
    root, root_of_group = linked.components.root, linked.components.root[len(new) :]
    ids = {node: f"g-{new.sha256[node][:16]}" for node in set(root[: len(new)].tolist())}
    inside = linked.inside()
    first: dict[int, tuple[int, str]] = {}
    for _, number, query, kind in _links_by_use(
        # Groups have numbers here, which must not be taken for nodes.
        -1 - root[links.query[inside]],
        links.group[inside],
        links.query[inside],
        ~links.by_tlsh[inside],
    ):
        first.setdefault(number, (query, kind))
    groups: dict[int, list[int]] = defaultdict(list)
    for number, node in enumerate(root_of_group.tolist()):
        groups[node].append(number)
    rows = []
    for node, numbers in groups.items():
        survivor, *absorbed = sorted(numbers, key=known.age)
        ids[node] = known.ids[survivor]
        for number in absorbed:
            detail = f"{ids[node]} is older than {known.ids[number]}."
            rows.append(_merge(linked, survivor, number, first[number], "merged", detail))
    return ids, rows


def _merge(
    linked: Linked, survivor: int, merged: int, via: tuple[int, str], status: str, detail: str
) -> dict[str, Any]:
    query, reason = via
    return {
        "group_id": linked.known.ids[survivor],
        "merged_id": linked.known.ids[merged],
        "via": linked.new.sha256[query],
        "reason": reason,
        "status": status,
        "detail": detail,
    }
