"""Counts and histograms of a snapshot, carried from one to the next.

An update's stats are its parent's, minus what the rows it replaces had added, plus what its own rows
add: never a count over all rows of the corpus. `corpus.store.statistics` says what there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from corpus.changes import drift
from corpus.changes.rows import Rows, changes
from corpus.store.arrow_frame import frame
from corpus.store.schemas import FEATURES_PREFIX
from corpus.store.statistics import Growth, Histograms, Statistics, ThisUpdate, no_histograms

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from corpus.store.staging import Update

Tally = Counter[tuple[str, ...]]
UNDATED = "undated"
UNSUPPORTED = "unsupported"


def updated_stats(update: Update, rows: Rows | None = None) -> Statistics:
    """Stats of the snapshot that an update would become; the same whatever the order of its shards.

    `rows` is what the update touches, if that was read before.
    """
    rows = rows or Rows.of(update)
    before = update.parent.stats
    tally = _flat(before)
    tally.subtract(tally_samples(rows.before))
    tally.update(tally_samples(rows.after))
    tally.subtract(tally_vectors(rows.vectors_before, rows.failures_before))
    tally.update(tally_vectors(rows.vectors_after, rows.failures_after))
    rejects = tally_rejects(rows.rejects)
    tally.update(rejects)
    tally["counts", "groups"] += _new_groups(rows)

    histograms = nested(tally)
    counts = histograms["counts"]
    growth: Growth = {
        "snapshot": update.id,
        "at": update.record["began_at"],
        "samples": counts["samples"],
        "malicious": counts["labels"].get("malicious", 0),
        "benign": counts["labels"].get("benign", 0),
        "unknown": counts["labels"].get("unknown", 0),
    }
    references = dict(before["drift"])
    this_update: ThisUpdate = {
        **changes(rows),
        "rejects": sum(n for key, n in rejects.items() if key[1] == "rejects"),
        "unsupported": sum(n for key, n in rejects.items() if key[1] == "unsupported"),
        "drift": {},
    }
    for name in update.feature_sets():
        parts = list(_staged_scalars(update, name))
        vectors = sum(len(next(iter(next(iter(p.values())).values()))) for p in parts if p)
        reference = references.get(name, drift.no_reference())
        this_update["drift"][name] = {
            "vectors": vectors,
            "reference": reference["vectors"],
            "psi": {g: round(v, 6) for g, v in drift.indexes(reference, parts).items()},
        }
        references[name] = drift.extended(reference, parts)
    return {
        **histograms,
        "snapshot": update.id,
        "growth": [*before["growth"], growth],
        "drift": references,
        "this_update": this_update,
    }


def tally_samples(rows: pl.DataFrame) -> Tally:
    """Count samples; columns as `Rows.before` has them, one row a sample."""
    tally: Tally = Counter()
    tally["counts", "samples"] = rows.height
    size = pl.max_horizontal(pl.col("size"), pl.lit(1)).log(2.0).floor().cast(pl.Int64)
    rows = rows.with_columns(
        bucket=size.cast(pl.String),
        week=pl.col("first_seen").dt.strftime("%G-W%V").fill_null(UNDATED),
        label=pl.col("label").fill_null("none"),
        split=pl.col("split").fill_null("none"),
        file_type=pl.col("file_type").fill_null("none"),
        arch=pl.col("arch").fill_null("none"),
        has_label=pl.col("label").is_not_null(),
        has_group=pl.col("group_id").is_not_null(),
        has_split=pl.col("split").is_not_null(),
    )
    for name, column in (
        ("labels", "label"),
        ("file_types", "file_type"),
        ("architectures", "arch"),
        ("splits", "split"),
    ):
        _count(tally, rows, ("counts", name), column)
    _count(tally, rows, ("counts", "labels_by_split"), "split", "label")
    _count(tally, rows, ("weeks",), "week", "label")
    _count(tally, rows, ("sizes",), "bucket")
    _count(tally, rows.filter(pl.col("family").is_not_null()), ("families",), "family")
    for name in ("label", "group", "split"):
        tally["counts", "missing", name] = rows.filter(~pl.col(f"has_{name}")).height
    return tally


def tally_vectors(vectors: pl.DataFrame, failures: pl.DataFrame) -> Tally:
    """Count vectors (sha256, feature_set) and the failures of samples that have none in the set."""
    tally: Tally = Counter()
    _count(tally, vectors, ("counts", "vectors"), "feature_set")
    standing = failures.join(vectors, on=["sha256", "feature_set"], how="anti")
    _count(tally, standing, ("counts", "failures"), "reason")
    _count(tally, standing, ("counts", "failures_by_set"), "feature_set", "reason")
    return tally


def tally_rejects(rejects: pl.DataFrame) -> Tally:
    """Count rejected files by reason, and those of an unsupported type by type instead."""
    tally: Tally = Counter()
    rows = rejects.with_columns(
        pl.col("files").fill_null(1), pl.col("file_type").fill_null("unknown")
    )
    other = rows.filter(pl.col("reason") == UNSUPPORTED)
    for reason, files in (
        rows.filter(pl.col("reason") != UNSUPPORTED).select("reason", "files").rows()
    ):
        tally["counts", "rejects", reason] += files
    for file_type, files in other.select("file_type", "files").rows():
        tally["counts", "unsupported", file_type] += files
    return tally


def nested(tally: Tally) -> Histograms:
    """The counts and histograms of a tally, with sorted keys and without zeros."""
    stats = no_histograms()
    for key, n in sorted(tally.items()):
        if n:
            place: Any = stats
            for name in key[:-1]:
                place = place.setdefault(name, {})
            place[key[-1]] = n
    return stats


def _flat(stats: Histograms) -> Tally:
    tally: Tally = Counter()

    def walk(value: Any, key: tuple[str, ...]) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                walk(inner, (*key, name))
        else:
            tally[key] = value

    walk(stats["counts"], ("counts",))
    walk(stats["weeks"], ("weeks",))
    walk(stats["sizes"], ("sizes",))
    walk(stats["families"], ("families",))
    return tally


def _count(tally: Tally, rows: pl.DataFrame, prefix: tuple[str, ...], *columns: str) -> None:
    for *values, n in rows.group_by(columns).len().rows():
        tally[(*prefix, *values)] += n


def _new_groups(rows: Rows) -> int:
    """How many more groups there are after the update: those begun less those merged away."""

    def groups(samples: pl.DataFrame) -> int:
        ids = pl.concat([samples["group_id"], rows.neighbours["group_id"]])
        return ids.drop_nulls().n_unique()

    return groups(rows.after) - groups(rows.before)


def _staged_scalars(update: Update, name: str) -> Iterator[drift.Scalars]:
    from corpus import features

    groups = features.get(name).groups
    for vectors in staged_vectors(update, name):
        yield drift.scalars(vectors, groups)


def staged_vectors(update: Update, name: str) -> Iterator[npt.NDArray[np.float32]]:
    """The staged vectors of a feature set, float32 [n, dim], a part at a time; each sample once."""
    table = FEATURES_PREFIX + name
    schema = update.spec(table).schema
    seen = pl.Series("sha256", [], pl.String)
    for key in update.parts(table):
        part = update.store.dataset([key], schema).to_table(columns=["sha256", "vector"])
        names = frame(part.select(["sha256"]))["sha256"]
        fresh = names.is_first_distinct() & ~names.is_in(seen.implode())
        part = part.filter(fresh.to_arrow())
        seen = pl.concat([seen, names])
        if part.num_rows:
            flat = part["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            yield flat.reshape(part.num_rows, -1)
