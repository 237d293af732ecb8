"""What an update changes: for the keys it touches, the rows as they were and as they will be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from corpus.errors import NothingNewError
from corpus.store.schemas import FEATURES_PREFIX, TABLES

if TYPE_CHECKING:
    from corpus.store.staging import Update

# The columns of a sample that stats and gates look at, and the tables they come from.
_COLUMNS = {
    "samples": ("sha256", "file_type", "arch", "size"),
    "labels": ("sha256", "label", "family"),
    "groups": ("sha256", "group_id"),
    "splits": ("sha256", "split", "first_seen", "group_id"),
}
_FAILURE = ["sha256", "service", "feature_set", "reason"]
_REJECT = ["location", "reason", "file_type", "files"]


@dataclass(frozen=True)
class Rows:
    """What an update touches, before (in its base) and after (with what it stages).

    `before` and `after` have one row for each touched sample that is in the corpus then: sha256,
    file_type, arch, size, label, family, group_id, split, first_seen, and split_group, the group its
    split was made for. `neighbours` are the other members that the base has of the touched groups:
    sha256, group_id. Vectors are rows of sha256, feature_set, vector_sha256; failures of sha256,
    service, feature_set, reason. `orphans` counts staged keys that no sample has.

    Of the base, only its samples are searched for all keys: nothing else is there of a new one.
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
        staged = {t: _staged(update, t, columns) for t, columns in _COLUMNS.items()}
        vectors = {name: _staged_vectors(update, name) for name in staged_feature_sets(update)}
        failures = _staged(update, "failures", _FAILURE)
        keys = pl.concat(
            [rows.select("sha256") for rows in (*staged.values(), *vectors.values(), failures)]
        ).unique()
        samples = _base(update, "samples", _COLUMNS["samples"], keys)
        known = samples.select("sha256")
        base = {
            t: _base(update, t, columns, known) for t, columns in _COLUMNS.items() if t != "samples"
        }
        base["samples"] = samples
        failures_base = _base(update, "failures", _FAILURE, known)
        # A failure counts only while its sample has no vector, so vectors of failed samples matter too.
        failed = pl.concat([failures, failures_base])
        vectors_base = pl.concat(
            [
                _base_vectors(update, name, [vectors.get(name, known.clear()), failed], known)
                for name in sorted({*vectors, *(update.base.feature_sets if update.base else ())})
            ]
            or [known.clear().with_columns(feature_set=pl.lit(""), vector_sha256=pl.lit(""))]
        )
        vectors_staged = pl.concat([vectors_base.clear(), *vectors.values()])
        before = _joined(base)
        after = _joined({t: _overlaid(base[t], staged[t], ["sha256"]) for t in _COLUMNS})
        rejects = _staged(update, "rejects", _REJECT)
        return cls(
            before=before,
            after=after,
            neighbours=_neighbours(update, before, after),
            vectors_before=vectors_base,
            vectors_after=_overlaid(vectors_base, vectors_staged, ["sha256", "feature_set"]),
            failures_before=_named(failures_base),
            failures_after=_named(_overlaid(failures_base, failures, TABLES["failures"].key)),
            rejects=rejects,
            orphans=keys.join(after, on="sha256", how="anti").height,
            new_rejects=_new_rejects(update, rejects),
            new_verdicts=_new_verdicts(update),
        )


def changes(rows: Rows) -> dict[str, Any]:
    """Counts of what an update does: every count is of samples unless it says otherwise.

    new; relabelled (another label), regrouped, moved (to another split): of samples that the base
    has; re_extracted ({set: n} with a vector other than before); vectors and failures ({set: n}
    added); verdicts (rows); new_rejects (files and archives not rejected for that reason before);
    orphans (staged keys that no sample has).
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
        "orphans": rows.orphans,
    }


def anything(this_update: dict[str, Any]) -> bool:
    """Whether an update changes anything that a snapshot would show or keep as evidence."""
    return any(
        sum(value.values()) if isinstance(value, dict) else value
        for name, value in this_update.items()
        if name not in ("drift", "rejects", "unsupported", "orphans")
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
    splits = tables["splits"].rename({"group_id": "split_group"})
    for other in (tables["labels"], tables["groups"], splits):
        rows = rows.join(other, on="sha256", how="left")
    return rows


def _staged_vectors(update: Update, name: str) -> pl.DataFrame:
    return _of_set(_staged(update, FEATURES_PREFIX + name, ["sha256", "vector_sha256"]), name)


def _base_vectors(
    update: Update, name: str, wanted: Sequence[pl.DataFrame], known: pl.DataFrame
) -> pl.DataFrame:
    keys = pl.concat([rows.select("sha256") for rows in wanted]).unique()
    if update.base is None or name not in update.base.feature_sets:
        keys = keys.clear()
    keys = keys.join(known, on="sha256", how="semi")
    return _of_set(_base(update, FEATURES_PREFIX + name, ["sha256", "vector_sha256"], keys), name)


def _neighbours(update: Update, before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Members that the base has, besides the touched samples, of groups that these are or were in."""
    columns = ["sha256", "group_id"]
    touched = pl.concat([before["group_id"], after["group_id"]]).drop_nulls().unique()
    if update.base is None or not len(touched):
        return after.select(columns).clear()
    members = frame(update.base.scan_with("groups", columns, "group_id", touched.to_arrow()))
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
    rows = rejects.select("location", "reason").unique()
    if update.base and rows.height:
        names = rows["location"].to_arrow()
        found = update.base.scan_with("rejects", ["location", "reason"], "location", names)
        known = frame(found)
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


def nothing_new(update: Update) -> NothingNewError:
    """What to raise where an update changes nothing."""
    if update.base is None:
        return NothingNewError(
            "there is nothing to publish: no samples and no verdicts were found."
        )
    return NothingNewError(
        f"nothing new since snapshot {update.base.id} of {update.base.manifest['created_at']}.",
        snapshot=update.base.id,
    )
