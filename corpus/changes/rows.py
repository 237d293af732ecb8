"""What an update changes: for the keys it touches, the rows as they were and as they will be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from corpus.errors import NothingNewError
from corpus.store.frames import published, published_with, staged
from corpus.store.schemas import FEATURES_PREFIX, TABLES
from corpus.store.statistics import RowChanges, ThisUpdate

if TYPE_CHECKING:
    from corpus.store.snapshots import Parent
    from corpus.store.staging import Update

# The columns of a sample that stats and gates look at, and the tables they come from.
_COLUMNS = {
    "samples": ("sha256", "file_type", "arch", "size"),
    "labels": ("sha256", "label", "family"),
    "groups": ("sha256", "group_id"),
    "splits": ("sha256", "split", "first_seen", "group_id"),
}
_FAILURE = ["sha256", "service", "feature_set", "reason"]
_VECTOR = ["sha256", "feature_set", "vector_sha256"]
_REJECT = ["location", "reason", "file_type", "files"]


@dataclass(frozen=True)
class Rows:
    """What an update touches, before (in its parent) and after (with what it stages).

    `before` and `after` have one row for each touched sample that is in the corpus then: sha256,
    file_type, arch, size, label, family, group_id, split, first_seen, and split_group, the group its
    split was made for. `neighbours` are the other members that the parent has of the touched groups:
    sha256, group_id. Vectors are rows of sha256, feature_set, vector_sha256; failures of sha256,
    service, feature_set, reason. `orphans` counts staged keys that no sample has.

    Of the parent, only its samples are searched for all keys: nothing else is there of a new one.
    """

    before: pl.DataFrame
    after: pl.DataFrame
    neighbours: pl.DataFrame
    vectors_before: pl.DataFrame
    vectors_after: pl.DataFrame
    failures_before: pl.DataFrame
    failures_after: pl.DataFrame
    rejects: pl.DataFrame
    orphans: int
    new_rejects: int
    new_verdicts: int

    @classmethod
    def of(cls, update: Update) -> Rows:
        """Read what an update touches, from its staged parts and from its parent."""
        new = {t: staged(update, t, columns) for t, columns in _COLUMNS.items()}
        vectors = {name: _staged_vectors(update, name) for name in update.feature_sets()}
        failures = staged(update, "failures", _FAILURE)
        keys = pl.concat(
            [rows.select("sha256") for rows in (*new.values(), *vectors.values(), failures)]
        ).unique()
        parent = update.parent
        samples = published(parent, "samples", _COLUMNS["samples"], keys["sha256"])
        known = samples["sha256"]
        old = {
            t: published(parent, t, columns, known)
            for t, columns in _COLUMNS.items()
            if t != "samples"
        }
        old["samples"] = samples
        failures_before = published(parent, "failures", _FAILURE, known)
        # A failure counts only while its sample has no vector, so vectors of failed samples matter too.
        failed = pl.concat([failures, failures_before])["sha256"]
        nothing = pl.DataFrame(schema=dict.fromkeys(_VECTOR, pl.String))
        vectors_before = pl.concat([nothing, *(
            _vectors_before(parent, name, [vectors.get(name, nothing)["sha256"], failed], known)
            for name in sorted({*vectors, *parent.feature_sets})
        )])  # fmt: skip
        vectors_staged = pl.concat([nothing, *vectors.values()])
        before = _joined(old)
        after = _joined({t: _overlaid(old[t], new[t], ["sha256"]) for t in _COLUMNS})
        rejects = staged(update, "rejects", _REJECT)
        return cls(
            before=before,
            after=after,
            neighbours=_neighbours(parent, before, after),
            vectors_before=vectors_before,
            vectors_after=_overlaid(vectors_before, vectors_staged, ["sha256", "feature_set"]),
            failures_before=_named(failures_before),
            failures_after=_named(_overlaid(failures_before, failures, TABLES["failures"].key)),
            rejects=rejects,
            orphans=keys.join(after, on="sha256", how="anti").height,
            new_rejects=_new_rejects(update, rejects),
            new_verdicts=_new_verdicts(update),
        )


def changes(rows: Rows) -> RowChanges:
    """Count what the rows of an update change."""
    both = rows.after.join(rows.before, on="sha256", suffix="_before")
    vectors = rows.vectors_after.join(
        rows.vectors_before, on=["sha256", "feature_set"], how="left", suffix="_before"
    )
    was = pl.col("vector_sha256_before")
    failures = rows.failures_after.join(rows.failures_before, on=_FAILURE, how="anti")

    def differs(column: str) -> int:
        return both.filter(pl.col(column).ne_missing(pl.col(f"{column}_before"))).height

    return {
        "new": rows.after.height - both.height,
        "relabelled": differs("label"),
        "regrouped": differs("group_id"),
        "moved": differs("split"),
        "refamilied": differs("family"),
        "re_extracted": _by_set(
            vectors.filter(was.is_not_null() & (was != pl.col("vector_sha256")))
        ),
        "vectors": _by_set(vectors.filter(was.is_null())),
        "failures": _by_set(failures),
        "verdicts": rows.new_verdicts,
        "new_rejects": rows.new_rejects,
        "orphans": rows.orphans,
    }


def anything(this_update: ThisUpdate) -> bool:
    """Whether an update changes anything that a snapshot would show or keep as evidence."""
    return any(
        sum(value.values()) if isinstance(value, dict) else value
        for name, value in this_update.items()
        if name not in ("drift", "rejects", "unsupported", "orphans")
    )


def _overlaid(old: pl.DataFrame, new: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """The old rows, with the new ones in the place of those with the same key."""
    return pl.concat([old.join(new, on=list(key), how="anti", nulls_equal=True), new])


def _joined(tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    rows = tables["samples"]
    splits = tables["splits"].rename({"group_id": "split_group"})
    for other in (tables["labels"], tables["groups"], splits):
        rows = rows.join(other, on="sha256", how="left")
    return rows


def _staged_vectors(update: Update, name: str) -> pl.DataFrame:
    return _of_set(staged(update, FEATURES_PREFIX + name, ["sha256", "vector_sha256"]), name)


def _vectors_before(
    parent: Parent, name: str, wanted: Sequence[pl.Series], known: pl.Series
) -> pl.DataFrame:
    keys = pl.concat(wanted).unique()
    keys = keys.filter(keys.is_in(known.implode()))
    columns = ["sha256", "vector_sha256"]
    return _of_set(published(parent, FEATURES_PREFIX + name, columns, keys), name)


def _neighbours(parent: Parent, before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Members that the parent has, besides the touched samples, of groups that these are or were in."""
    columns = ["sha256", "group_id"]
    touched = pl.concat([before["group_id"], after["group_id"]]).drop_nulls().unique()
    members = published_with(parent, "groups", columns, "group_id", touched)
    return members.join(after, on="sha256", how="anti")


def _of_set(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    return rows.select("sha256", pl.lit(name).alias("feature_set"), "vector_sha256")


def _named(failures: pl.DataFrame) -> pl.DataFrame:
    """Failures of a service that knows no feature set go by the service's name."""
    # The feature set is part of the key, which has no nulls: there it is empty.
    nameless = pl.col("feature_set").fill_null("") == ""
    return failures.with_columns(
        pl.when(nameless).then("service").otherwise("feature_set").alias("feature_set")
    )


def _new_rejects(update: Update, rejects: pl.DataFrame) -> int:
    columns = ["location", "reason"]
    rows = rejects.select(columns).unique()
    known = published_with(update.parent, "rejects", columns, "location", rows["location"])
    return rows.join(known, on=columns, how="anti", nulls_equal=True).height


def _new_verdicts(update: Update) -> int:
    rows = staged(update, "verdicts", ["verdict_id"]).unique()
    known = published(update.parent, "verdicts", ["verdict_id"], rows["verdict_id"])
    return rows.join(known, on="verdict_id", how="anti").height


def _by_set(rows: pl.DataFrame) -> dict[str, int]:
    return dict(sorted(rows.group_by("feature_set").len().rows()))


def nothing_new(update: Update) -> NothingNewError:
    """Return the error for an update that changes nothing."""
    return NothingNewError(update.parent.nothing_new, snapshot=update.parent.id)
