"""`split`: train, validation and test for an update's new samples; the past stays where it is.

Takes the staged `groups`, `merges`, `samples` and `verdicts` and the base's `splits`; stages `splits`
(rows of the new samples, of those whose group was merged, and with `resplit` of all that moved).
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from corpus.groups import EXCLUDED
from corpus.services.base import Context
from corpus.services.reports import SplitReport
from corpus.services.requests import SplitRequest
from corpus.settings import SplitSettings
from corpus.splits import SPLITS, Cuts, assign, cuts_from_settings, cuts_from_times, method
from corpus.store.schemas import TABLES
from corpus.store.updates import Update

_COLUMNS = ["sha256", "split", "group_id", "first_seen", "reason"]


def split(request: SplitRequest, context: Context) -> SplitReport:
    """Stage splits. Raises `BadSetting` where the days or the ratio of the settings are unusable."""
    update, settings = context.begin(request), context.settings.splits
    base = _base(update, "splits", _COLUMNS)
    grouped = _staged(update, "groups", ["sha256", "group_id", "reason"])
    merged = grouped.filter(pl.col("reason") == "merge").select("sha256", "group_id")
    new = grouped.filter(pl.col("reason") != "merge").select("sha256", "group_id")
    new = _with_first_seen(update, new, "verdicts")
    context.progress.say(f"split: {len(new)} new samples, {len(base)} known.")

    bridges = _bridges(update, new)
    renamed = base.drop("group_id").join(merged, on="sha256").select(_COLUMNS)
    if request.resplit:
        past = _base(update, "groups", ["sha256", "group_id"]).join(merged, on="sha256", how="anti")
        past = _with_first_seen(update, pl.concat([past, merged]), "samples", "verdicts")
        everything = pl.concat([past, new])
        cuts = _cuts(update, everything["first_seen"], settings)
        # A bridge has samples of several groups beside it, which may still be on several sides.
        shut = base.filter(pl.col("split") == EXCLUDED).select("sha256")
        known = dict.fromkeys(past.join(shut, on="sha256")["group_id"].to_list(), EXCLUDED)
        assigned = assign(everything, known, bridges, cuts, settings)
        rows = _changed(assigned, base)
        new_rows = assigned.join(new.select("sha256"), on="sha256", how="semi")
        overall = assigned
    else:
        cuts = _cuts(update, pl.concat([base["first_seen"], new["first_seen"]]), settings)
        wanted = base.join(new.select("group_id").unique(), on="group_id", how="semi")
        known = dict(
            wanted.select("group_id", "split").unique().sort("group_id", "split").iter_rows()
        )
        # A survivor of a merge has its split from its own members, all of which had the same.
        new_rows = assign(new, known, bridges, cuts, settings)
        rows = pl.concat([new_rows, renamed]).sort("sha256")
        overall = pl.concat([base, new_rows])

    if len(rows) or update.has("splits"):
        update.write("splits", rows.to_arrow())
    moved = rows.join(base.select("sha256", was="split"), on="sha256")
    undated = overall["first_seen"].null_count()
    how = method(set(overall["reason"].unique().to_list()), cuts)
    counts = dict(new_rows.group_by("split").len().iter_rows())
    report = SplitReport(
        update=update.id,
        samples=len(new),
        splits={name: counts.get(name, 0) for name in SPLITS},
        moved=moved.filter(pl.col("was") != pl.col("split")).height,
        method=how,
        undated=undated,
        cuts={
            "method": how,
            "validation_from": cuts.validation_from.isoformat() if cuts else None,
            "test_from": cuts.test_from.isoformat() if cuts else None,
            "ratio": list(settings.ratio),
            "seed": settings.seed,
            "undated": undated,
        },
    )
    update.write_report("split", report.model_dump(mode="json"))
    return report


def _cuts(update: Update, first_seen: pl.Series, settings: SplitSettings) -> Cuts | None:
    """The settings' days; else those of the base, so that they stay; else by weeks, once for all."""
    carried = update.base.manifest.get("splits") if update.base else None
    return (
        cuts_from_settings(settings)
        or Cuts.read(carried or {})
        or cuts_from_times(first_seen, settings)
    )


def _bridges(update: Update, new: pl.DataFrame) -> list[str]:
    """Groups of the samples for which a merge was refused."""
    merges = _staged(update, "merges", ["via", "status"])
    refused = merges.filter(pl.col("status") == "refused")["via"].unique().to_list()
    return new.filter(pl.col("sha256").is_in(refused))["group_id"].unique().to_list()


def _with_first_seen(update: Update, samples: pl.DataFrame, *published: str) -> pl.DataFrame:
    """Samples with the earliest first-seen that staged samples and verdicts and the given published
    tables know."""
    sha256s = samples["sha256"].to_arrow().cast(pa.string())
    columns = ["sha256", "first_seen"]
    times = [_staged(update, table, columns) for table in ("samples", "verdicts")]
    if update.base and len(sha256s):
        # All rows of one verdict name the same sample, so this filter may come before latest-wins.
        mine = pc.field("sha256").isin(sha256s)
        for table in published:
            times.append(_frame(update.base.scan(table, columns, where=mine)))
    earliest = pl.concat(times).group_by("sha256").agg(pl.col("first_seen").min())
    return samples.join(earliest, on="sha256", how="left")


def _changed(assigned: pl.DataFrame, base: pl.DataFrame) -> pl.DataFrame:
    """Rows that differ from the base's, or that it does not have."""
    both = assigned.join(base.drop("reason"), on="sha256", how="left", suffix="_was")
    same = pl.all_horizontal(
        pl.col(name).eq_missing(pl.col(f"{name}_was"))
        for name in ("split", "group_id", "first_seen")
    )
    return both.filter(~same).select(_COLUMNS)


def _base(update: Update, table: str, columns: list[str]) -> pl.DataFrame:
    if update.base is None:
        return _frame(TABLES[table].schema.empty_table().select(columns))
    return _frame(update.base.scan(table, columns))


def _staged(update: Update, table: str, columns: list[str]) -> pl.DataFrame:
    return _frame(update.read(table, columns))


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
