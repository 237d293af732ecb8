"""Links between near-duplicates: among new samples, and from them to groups of the parent.

Two samples are linked if their TLSH distance is within the limit, or their import hashes are
equal. Work on the parent is array operations only, never a loop over its rows. A TLSH distance is
a whole number from 0 (see corpus.services.group.tlsh_index); arrays of positions are int64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from corpus.services.group.tlsh_index import Digests, Indices, TlshIndex, cells, parse, reachable
from corpus.settings import GroupSettings

# A link's distance and row as one number: the least is the nearest, and of these the oldest.
ROW_BITS = 40
NO_LINK = int(np.iinfo(np.int64).max)


def to_numpy(values: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """An Arrow column as an array [n] of its own type; integers with nulls become float64."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    array: npt.NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return array


class Components:
    """Connected components of nodes 0 to n-1: `root`, int64 [n], has the least node of each one's own."""

    def __init__(self, nodes: int):
        self.root: Indices = np.arange(nodes)

    def reset(self, nodes: Indices) -> None:
        """Take whole components apart into single nodes; `nodes`, int64 [k], are all nodes of them."""
        self.root[nodes] = nodes

    def connect(self, left: Indices, right: Indices) -> None:
        """Connect left[i] with right[i], for all i: nodes, int64 [k] each."""
        while True:
            a, b = self.root[left], self.root[right]
            differing = a != b
            if not differing.any():
                return
            left, right, a, b = left[differing], right[differing], a[differing], b[differing]
            np.minimum.at(self.root, np.maximum(a, b), np.minimum(a, b))
            while not np.array_equal(self.root, shorter := self.root[self.root]):
                self.root = shorter


@dataclass(frozen=True)
class NewSamples:
    """New samples in the order of their sha256: position 0 has the least of n.

    `digests` has the m TLSH digests that there are, `digested`, int64 [m], the positions of their
    samples, ascending. `imphashes` are the different import hashes that link (strings), and
    `imphash_code`, int64 [n], is the position of each sample's own in them; -1 for none.
    """

    sha256: list[str]
    digests: Digests
    digested: Indices
    imphashes: pa.Array
    imphash_code: Indices
    settings: GroupSettings = field(repr=False)

    @classmethod
    def read(cls, samples: pa.Table, settings: GroupSettings) -> NewSamples:
        """Read the columns sha256, tlsh and imphash (strings), in the order of sha256.

        Raises `BadInputError` if a TLSH digest is malformed; null is not a digest.
        """
        encoded = _linking(samples["imphash"], settings).combine_chunks().dictionary_encode()
        return cls(
            sha256=samples["sha256"].to_pylist(),
            digests=parse(samples["tlsh"].drop_null()),
            digested=np.flatnonzero(to_numpy(samples["tlsh"].is_valid())),
            imphashes=encoded.dictionary,
            imphash_code=to_numpy(pc.fill_null(encoded.indices, -1)).astype(np.int64),
            settings=settings,
        )

    def __len__(self) -> int:
        return len(self.sha256)

    def tlsh_pairs(self, among: Indices) -> Iterator[tuple[Indices, Indices, Indices]]:
        """TLSH links among some of the samples, in both directions.

        `among`, int64 [k], are positions. Yields batches of from, to and distance, int64 [links]
        each.
        """
        chosen = np.flatnonzero(np.isin(self.digested, among))
        digests, position = self.digests.take(chosen), self.digested[chosen]
        for found in TlshIndex(digests, self.settings.tlsh_distance).neighbours(digests):
            other = found.query != found.row
            yield position[found.query[other]], position[found.row[other]], found.distance[other]

    def imphash_pairs(self, among: Indices) -> tuple[Indices, Indices]:
        """All import-hash links among some of the samples, in both directions.

        `among`, int64 [k], are positions. Returns from and to, int64 [links] each.
        """
        frame = pl.DataFrame({"from": among, "code": self.imphash_code[among]})
        frame = frame.filter(pl.col("code") >= 0)
        pairs = frame.join(frame.rename({"from": "to"}), on="code").filter(
            pl.col("from") != pl.col("to")
        )
        return pairs["from"].to_numpy(), pairs["to"].to_numpy()

    def imphash_chain(self) -> tuple[Indices, Indices]:
        """As few import-hash links as connect what all of them connect: from and to, int64 [links]."""
        order = np.argsort(self.imphash_code, kind="stable")
        code = self.imphash_code[order]
        same = (code[1:] == code[:-1]) & (code[1:] >= 0)
        return order[:-1][same], order[1:][same]


@dataclass(frozen=True)
class ParentLinks:
    """The nearest link between a new sample and a group of the parent, one for each kind.

    All are [links]: `query` int64, the position of the new sample; `group` int64, the group's number;
    `best` int64, distance << `ROW_BITS` | row of the parent (an import hash has distance 0);
    `by_tlsh` bool, whether TLSH links them and not an import hash.
    """

    query: Indices
    group: Indices
    best: Indices
    by_tlsh: npt.NDArray[np.bool_]

    @property
    def row(self) -> Indices:
        """Row of the parent that each link leads to, int64 [links]."""
        return self.best & ((1 << ROW_BITS) - 1)


def linked_rows(new: NewSamples, parent: pa.Table) -> Indices:
    """Rows of the parent that any new sample is linked to: int64 [k], ascending.

    `parent` has the columns tlsh and imphash (strings or null), one row a sample of the parent. A few
    bytes of each digest tell which ones are worth parsing. Raises `BadInputError` if one that is
    read is malformed.
    """
    linked = to_numpy(pc.is_in(parent["imphash"], value_set=new.imphashes, skip_nulls=True)).copy()
    rows = np.flatnonzero(to_numpy(parent["tlsh"].is_valid()))
    limit = new.settings.tlsh_distance
    if len(new.digests) and len(rows):
        digests = parent["tlsh"].drop_null()
        near = reachable(new.digests, limit)[cells(digests)]
        rows = rows[near]
        index = TlshIndex(parse(digests.filter(pa.array(near))), limit)
        for batch in index.neighbours(new.digests):
            linked[rows[batch.row]] = True
    return np.flatnonzero(linked)


def links_to_parent(new: NewSamples, parent: pa.Table, group_of_row: Indices) -> ParentLinks:
    """Links from new samples to groups, sorted by query and group, an import hash before TLSH.

    `parent` has the columns tlsh and imphash (strings or null), `group_of_row`, int64 [rows], the
    number of each row's group. Raises `BadInputError` if a TLSH digest is malformed.
    """
    frames = [_by_tlsh(new, parent["tlsh"], group_of_row), _by_imphash(new, parent, group_of_row)]
    links = pl.concat(frames).sort("query", "group", "by_tlsh")
    return ParentLinks(
        query=links["query"].to_numpy(),
        group=links["group"].to_numpy(),
        best=links["best"].to_numpy(),
        by_tlsh=links["by_tlsh"].to_numpy(),
    )


def _by_tlsh(new: NewSamples, column: pa.ChunkedArray, group_of_row: Indices) -> pl.DataFrame:
    found = [_nearest(*(np.empty(0, np.int64) for _ in range(3)))]
    if len(new.digests) and len(column):
        rows = np.flatnonzero(to_numpy(column.is_valid()))
        index = TlshIndex(parse(column.drop_null()), new.settings.tlsh_distance)
        for batch in index.neighbours(new.digests):
            row = rows[batch.row]
            best = (batch.distance << ROW_BITS) | row
            found.append(_nearest(new.digested[batch.query], group_of_row[row], best))
    frame = pl.concat(found).group_by("query", "group").agg(pl.col("best").min())
    return frame.with_columns(by_tlsh=pl.lit(True))


def _by_imphash(new: NewSamples, parent: pa.Table, group_of_row: Indices) -> pl.DataFrame:
    codes = pc.index_in(parent["imphash"], value_set=new.imphashes, skip_nulls=True)
    rows = np.flatnonzero(to_numpy(codes.is_valid()))
    known = _nearest(to_numpy(codes.drop_null()).astype(np.int64), group_of_row[rows], rows).rename(
        {"query": "code"}
    )
    asking = pl.DataFrame({"query": np.arange(len(new)), "code": new.imphash_code})
    return asking.join(known, on="code").select(
        "query", "group", "best", pl.lit(False).alias("by_tlsh")
    )


def _nearest(query: Indices, group: Indices, best: Indices) -> pl.DataFrame:
    frame = pl.DataFrame({"query": query, "group": group, "best": best}, schema=_LINK)
    return frame.group_by("query", "group").agg(pl.col("best").min())


_LINK = {"query": pl.Int64, "group": pl.Int64, "best": pl.Int64}


def _linking(imphashes: pa.ChunkedArray, settings: GroupSettings) -> pa.ChunkedArray:
    """Import hashes, null if they link nothing."""
    if not settings.imphash:
        return pa.chunked_array([pa.nulls(len(imphashes), pa.string())])
    ignored = pa.array(["", *map(str.lower, settings.ignored_imphashes)], pa.string())
    return pc.if_else(
        pc.is_in(imphashes, value_set=ignored), pa.scalar(None, pa.string()), imphashes
    )
