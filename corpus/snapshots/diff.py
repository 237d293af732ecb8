"""What one snapshot has and another does not, sample by sample."""

from __future__ import annotations

from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from corpus.changes import content
from corpus.store.object_store import Store
from corpus.store.schemas import FEATURES_PREFIX
from corpus.store.snapshots import Snapshot


class Change(BaseModel):
    """One sample, what it was in the first snapshot and what it is in the second."""

    model_config = ConfigDict(populate_by_name=True)

    sha256: str
    was: str | None = Field(serialization_alias="from")
    now: str | None = Field(serialization_alias="to")


class DiffReport(BaseModel):
    """The difference of snapshots `a` and `b`; every list is sorted by sha256."""

    model_config = ConfigDict(extra="forbid")

    a: str = Field(description="Id of the first snapshot.")
    b: str = Field(description="Id of the second snapshot.")
    same: bool = Field(description="Whether both have the same content.")
    counts: dict[str, Any] = Field(description="Length of each list below.")
    added: list[str] = Field(description="Samples only the second has.")
    removed: list[str] = Field(description="Samples only the first has.")
    relabelled: list[Change] = Field(description="Samples with another label.")
    refamilied: list[Change] = Field(description="Samples with another family.")
    moved: list[Change] = Field(description="Samples in another split.")
    regrouped: list[Change] = Field(description="Samples in another group.")
    re_extracted: dict[str, list[str]] = Field(
        description="Samples with another vector, by feature set; one that came or went counts."
    )


def diff(store: Store, a: str, b: str = "latest") -> DiffReport:
    """Compare two snapshots by their ids. Raises `NotFoundError`. Vectors are compared by their digests."""
    first, second = Snapshot.open(store, a), Snapshot.open(store, b)
    sets = sorted({*first.feature_sets, *second.feature_sets})
    old, new = content.of_snapshot(first, sets), content.of_snapshot(second, sets)
    both = old.join(new, on="sha256", suffix="_now").sort("sha256")

    def changed(column: str) -> list[Change]:
        rows = both.filter(pl.col(column).ne_missing(pl.col(f"{column}_now")))
        found = rows.select("sha256", column, f"{column}_now").iter_rows()
        return [Change(sha256=sha256, was=was, now=now) for sha256, was, now in found]

    lists = {
        "added": new.join(old, on="sha256", how="anti")["sha256"].sort().to_list(),
        "removed": old.join(new, on="sha256", how="anti")["sha256"].sort().to_list(),
        "relabelled": changed("label"),
        "refamilied": changed("family"),
        "moved": changed("split"),
        "regrouped": changed("group_id"),
    }
    vectors = {name: [c.sha256 for c in changed(FEATURES_PREFIX + name)] for name in sets}
    return DiffReport(
        a=first.id,
        b=second.id,
        same=first.manifest["content_digest"] == second.manifest["content_digest"],
        counts={
            **{name: len(entries) for name, entries in lists.items()},
            "re_extracted": {name: len(entries) for name, entries in vectors.items()},
        },
        **lists,
        re_extracted=vectors,
    )
