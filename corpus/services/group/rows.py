"""Rows of table `groups`, once it is clear which samples are linked and which links hold."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.services.group.similarity import NO_LINK, ROW_BITS, Components, NewSamples, ParentLinks
from corpus.services.group.tlsh_index import Indices


@dataclass(frozen=True)
class Known:
    """The n groups of the parent that new samples are linked to, numbered from 0.

    `ids` and `splits` are theirs; `founded`, int64 [n], is the sequence of the snapshot that founded
    a group; `of_row`, int64 [rows], the number of each row's group in the parent, -1 for groups that
    are not linked; `sizes`, int64 [groups], how many samples each group that was read has, the linked
    ones first.
    """

    ids: list[str]
    splits: list[str | None]
    founded: Indices
    of_row: Indices
    sizes: Indices

    def age(self, group: int) -> tuple[int, str]:
        """Sorts the oldest group first."""
        return int(self.founded[group]), self.ids[group]


@dataclass(frozen=True)
class Linked:
    """New samples and the groups of the parent that they are linked to, as nodes of `components`.

    Nodes are the new samples, then the groups. `nearest`, int64 [samples], is the nearest TLSH link
    of each new sample to another one in its group, as `ParentLinks.best` has it, or `NO_LINK`; rows
    behind those of `parent` are new samples.
    """

    samples: pa.Table
    new: NewSamples
    parent: pa.Table
    links: ParentLinks
    known: Known
    components: Components
    nearest: Indices

    def inside(self) -> npt.NDArray[np.bool_]:
        """Which links to the parent hold, bool [links]: both ends are in one group now."""
        root = self.components.root
        held: npt.NDArray[np.bool_] = (
            root[self.links.query] == root[len(self.new) + self.links.group]
        )
        return held


def rows_of_new_samples(linked: Linked, group_ids: dict[int, str]) -> pa.Table:
    """The rows of the new samples."""
    count, root = len(linked.new), linked.components.root
    chosen = linked.inside() & linked.links.by_tlsh
    nearest = linked.nearest.copy()
    np.minimum.at(nearest, linked.links.query[chosen], linked.links.best[chosen])
    by_imphash = _nearest_by_imphash(linked)
    ids = [group_ids[node] for node in root[:count].tolist()]
    founder = np.array(
        [f"g-{s[:16]}" == g for s, g in zip(linked.new.sha256, ids, strict=True)], np.bool_
    )
    by_tlsh = ~founder & (nearest != NO_LINK)
    best = np.where(by_tlsh, nearest, by_imphash)
    row = np.where(founder, 0, best & ((1 << ROW_BITS) - 1))
    shas = pa.chunked_array(
        [*linked.parent["sha256"].chunks, pa.array(linked.new.sha256, pa.string())], pa.string()
    )
    neighbour = shas.take(pa.array(row))
    reason = np.where(founder, "new", np.where(by_tlsh, "tlsh", "imphash"))
    return pa.table(
        {
            "sha256": linked.samples["sha256"],
            "group_id": pa.array(ids, pa.string()),
            "tlsh": linked.samples["tlsh"],
            "imphash": linked.samples["imphash"],
            "reason": pa.array(reason.tolist(), pa.string()),
            "neighbour": pa.array(
                [None if f else n for f, n in zip(founder, neighbour.to_pylist(), strict=True)],
                pa.string(),
            ),
            "distance": pa.array(
                np.where(by_tlsh, best >> ROW_BITS, 0).astype(np.int32), mask=~by_tlsh
            ),
        }
    )


def _nearest_by_imphash(linked: Linked) -> Indices:
    """Row of the oldest sample with the same import hash in the same group, or `NO_LINK`."""
    nearest = np.full(len(linked.new), NO_LINK)
    first_two: dict[tuple[int, int], list[int]] = defaultdict(list)
    keys = list(
        zip(linked.new.imphash_code.tolist(), linked.components.root.tolist(), strict=False)
    )
    for node, key in enumerate(keys):
        if key[0] >= 0 and len(first_two[key]) < 2:
            first_two[key].append(node)
    for node, key in enumerate(keys):
        others = [other for other in first_two.get(key, ()) if other != node]
        if others:
            nearest[node] = linked.parent.num_rows + others[0]
    chosen = linked.inside() & ~linked.links.by_tlsh
    np.minimum.at(nearest, linked.links.query[chosen], linked.links.best[chosen])
    return nearest


def rows_of_absorbed_groups(
    linked: Linked, group_ids: dict[int, str], merges: list[dict[str, Any]]
) -> pa.Table:
    """The rows of absorbed groups, with the id of the group they are part of now."""
    via = {merge["merged_id"]: merge["via"] for merge in merges}
    of_row = linked.known.of_row
    # One more, for rows whose group is not linked: their number is -1.
    absorbed = np.array([*(group in via for group in linked.known.ids), False], np.bool_)
    rows = np.flatnonzero(absorbed[of_row])
    numbers = of_row[rows].tolist()
    root = linked.components.root[len(linked.new) :].tolist()
    old = linked.parent.take(pa.array(rows))
    return pa.table(
        {
            "sha256": old["sha256"],
            "group_id": pa.array([group_ids[root[n]] for n in numbers], pa.string()),
            "tlsh": old["tlsh"],
            "imphash": old["imphash"],
            "reason": pa.array(["merge"] * len(numbers), pa.string()),
            "neighbour": pa.array([via[linked.known.ids[n]] for n in numbers], pa.string()),
            "distance": pa.nulls(len(numbers), pa.int32()),
        }
    )


def largest_group(linked: Linked) -> int:
    """Samples in the largest group of the corpus, this update's among them."""
    sizes = linked.known.sizes
    nodes = np.zeros(len(linked.components.root), np.int64)
    weight = np.concatenate([np.ones(len(linked.new), np.int64), sizes[: len(linked.known.ids)]])
    np.add.at(nodes, linked.components.root, weight)
    return int(max(nodes.max(initial=0), sizes[len(linked.known.ids) :].max(initial=0)))
