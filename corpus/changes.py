"""What an update changes: for the keys it touches, the rows as they were and as they will be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from corpus.store.schemas import FEATURES_PREFIX, TABLES

if TYPE_CHECKING:
    from corpus.store.updates import Update

# The columns of a sample that stats and gates look at, and the tables they come from.
_COLUMNS = {
    "samples": ("sha256", "file_type", "arch", "size"),
    "labels": ("sha256", "label", "family"),
    "groups": ("sha256", "group_id"),
    "splits": ("sha256", "split", "first_seen"),
}
_FAILURE = ["sha256", "service", "feature_set", "reason"]
_REJECT = ["location", "reason", "file_type", "files"]


@dataclass(frozen=True)
class Rows:
    """What an update touches, before (in its base) and after (with what it stages).

    `before` and `after` have one row for each touched sample that is in the corpus then: sha256,
    file_type, arch, size, label, family, group_id, split, first_seen. Groups have sha256 and
    group_id, also of keys that are no sample yet. Vectors are rows of sha256,
    feature_set, vector_sha256; failures of sha256, service, feature_set, reason.
    """

    keys: pl.DataFrame
    before: pl.DataFrame
    after: pl.DataFrame
    groups_before: pl.DataFrame
    groups_after: pl.DataFrame
    vectors_before: pl.DataFrame
    vectors_after: pl.DataFrame
    failures_before: pl.DataFrame
    failures_after: pl.DataFrame
    rejects: pl.DataFrame
    new_rejects: int
    new_verdicts: int

    @classmethod
    def of(cls, update: Update) -> Rows:
        staged = {t: _staged(update, t, columns) for t, columns in _COLUMNS.items()}
        keys = pl.concat([rows.select("sha256") for rows in staged.values()]).unique()
        base = {t: _base(update, t, columns, keys) for t, columns in _COLUMNS.items()}
        after = {t: _overlaid(base[t], staged[t], ["sha256"]) for t in _COLUMNS}
        vectors_staged, vectors_base, touched = _vectors(update)
        failures_staged = _staged(update, "failures", _FAILURE)
        touched = pl.concat([touched, failures_staged.select("sha256")]).unique()
        failures_base = _base(update, "failures", _FAILURE, touched)
        # A failure counts only while its sample has no vector, so vectors of failed samples matter too.
        vectors_base = _with_failed(update, vectors_base, failures_staged, failures_base)
        rejects = _staged(update, "rejects", _REJECT)
        return cls(
            keys=keys,
            before=_joined(base),
            after=_joined(after),
            groups_before=base["groups"],
            groups_after=after["groups"],
            vectors_before=vectors_base,
            vectors_after=_overlaid(vectors_base, vectors_staged, ["sha256", "feature_set"]),
            failures_before=_named(failures_base),
            failures_after=_named(
                _overlaid(failures_base, failures_staged, TABLES["failures"].key)
            ),
            rejects=rejects,
            new_rejects=_new_rejects(update, rejects),
            new_verdicts=_new_verdicts(update),
        )


def changes(rows: Rows) -> dict[str, Any]:
    """Counts of what an update does: every count is of samples unless it says otherwise.

    new; relabelled (another label), regrouped, moved (to another split): of samples that the base
    has; re_extracted ({set: n} with a vector other than before); vectors and failures ({set: n}
    added); verdicts (rows); new_rejects (files and archives not rejected for that reason before).
    """
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
    }


def anything(this_update: dict[str, Any]) -> bool:
    """Whether an update changes anything that a snapshot would show or keep as evidence."""
    return any(
        sum(value.values()) if isinstance(value, dict) else value
        for name, value in this_update.items()
        if name not in ("drift", "rejects", "unsupported")
    )


def staged_feature_sets(update: Update) -> list[str]:
    """Names of the feature sets that the update stages vectors of, sorted."""
    tables = (table for table in update.tables() if table.startswith(FEATURES_PREFIX))
    return sorted(table.removeprefix(FEATURES_PREFIX) for table in tables)


def frame(rows: pa.Table) -> pl.DataFrame:
    """A pyarrow table as a polars frame."""
    found = pl.from_arrow(rows)
    assert isinstance(found, pl.DataFrame)
    return found


def _staged(update: Update, table: str, columns: Sequence[str]) -> pl.DataFrame:
    return frame(update.read(table, list(columns)))


def _base(update: Update, table: str, columns: Sequence[str], keys: pl.DataFrame) -> pl.DataFrame:
    if update.base is None or not keys.height:
        schema = TABLES[table].schema if table in TABLES else pa.schema(
            [(name, pa.string()) for name in columns]
        )  # fmt: skip
        return frame(pa.schema([schema.field(name) for name in columns]).empty_table())
    return frame(update.base.scan(table, list(columns), keys=keys["sha256"].to_list()))


def _overlaid(base: pl.DataFrame, staged: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """The base's rows with the staged ones in the place of those with the same key."""
    return pl.concat([base.join(staged, on=list(key), how="anti", nulls_equal=True), staged])


def _joined(tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    rows = tables["samples"]
    for table in ("labels", "groups", "splits"):
        rows = rows.join(tables[table], on="sha256", how="left")
    return rows


def _vectors(update: Update) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    staged, base = [], []
    for name in staged_feature_sets(update):
        table = FEATURES_PREFIX + name
        rows = _staged(update, table, ["sha256", "vector_sha256"])
        staged.append(_of_set(rows, name))
        if update.base and name in update.base.feature_sets:
            old = _base(update, table, ["sha256", "vector_sha256"], rows)
            base.append(_of_set(old, name))
    empty = pl.DataFrame(
        schema=dict.fromkeys(["sha256", "feature_set", "vector_sha256"], pl.String)
    )
    every = pl.concat([empty, *staged])
    return every, pl.concat([empty, *base]), every.select("sha256")


def _with_failed(
    update: Update, vectors: pl.DataFrame, staged: pl.DataFrame, base: pl.DataFrame
) -> pl.DataFrame:
    failed = pl.concat([staged, base])
    found = [vectors]
    for name in sorted(update.base.feature_sets if update.base else []):
        keys = failed.filter(pl.col("feature_set") == name).select("sha256").unique()
        known = vectors.filter(pl.col("feature_set") == name)
        keys = keys.join(known, on="sha256", how="anti")
        if keys.height:
            rows = _base(update, FEATURES_PREFIX + name, ["sha256", "vector_sha256"], keys)
            found.append(_of_set(rows, name))
    return pl.concat(found)


def _of_set(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    return rows.select("sha256", pl.lit(name).alias("feature_set"), "vector_sha256")


def _named(failures: pl.DataFrame) -> pl.DataFrame:
    """Failures of a service that knows no feature set go by the service's name."""
    return failures.with_columns(pl.coalesce("feature_set", "service").alias("feature_set"))


def _new_rejects(update: Update, rejects: pl.DataFrame) -> int:
    rows = rejects.select("location", "reason").unique()
    if update.base and rows.height:
        import pyarrow.compute as pc

        where = pc.field("location").isin(rows["location"].to_arrow().cast("string"))
        known = frame(update.base.scan("rejects", ["location", "reason"], where=where))
        rows = rows.join(known, on=["location", "reason"], how="anti", nulls_equal=True)
    return rows.height


def _new_verdicts(update: Update) -> int:
    rows = _staged(update, "verdicts", ["verdict_id"]).unique()
    if update.base and rows.height:
        known = frame(
            update.base.scan("verdicts", ["verdict_id"], keys=rows["verdict_id"].to_list())
        )
        rows = rows.join(known, on="verdict_id", how="anti")
    return rows.height


def _by_set(rows: pl.DataFrame) -> dict[str, int]:
    return dict(sorted(rows.group_by("feature_set").len().rows()))
