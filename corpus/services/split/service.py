"""`split`: train, validation and test for an update's new samples; the past stays where it is.

Takes the staged `groups`, `merges`, `samples` and `verdicts` and the parent's `splits`; stages `splits`
(rows of the new samples, of those whose group was merged, and with `resplit` of all that moved).
"""

from __future__ import annotations

import polars as pl

from corpus.contract.reports import SplitReport
from corpus.contract.requests import SplitRequest
from corpus.contract.splits import EXCLUDED, SPLITS
from corpus.services.context import Context
from corpus.services.split.assignment import (
    Cuts,
    assign,
    cuts_from_settings,
    cuts_from_times,
    method,
)
from corpus.settings import SplitSettings
from corpus.store.frames import published, published_with, staged
from corpus.store.staging import Update

_COLUMNS = ["sha256", "split", "group_id", "first_seen", "reason"]


def split(request: SplitRequest, context: Context) -> SplitReport:
    """Stage splits. Raises `BadSettingError` if the days or the ratio of the settings are unusable."""
    update, settings = context.begin(request), context.settings.splits
    grouped = staged(update, "groups", ["sha256", "group_id", "reason"])
    merged = grouped.filter(pl.col("reason") == "merge").select("sha256", "group_id")
    new = grouped.filter(pl.col("reason") != "merge").select("sha256", "group_id")
    new = _with_first_seen(update, new, "verdicts")
    context.progress.say(f"split: {len(new)} new samples.")

    bridges = _bridges(update, new)
    if request.resplit:
        before = published(update.parent, "splits", _COLUMNS)
        past = published(update.parent, "groups", ["sha256", "group_id"])
        past = past.join(merged, on="sha256", how="anti")
        past = _with_first_seen(update, pl.concat([past, merged]), "samples", "verdicts")
        everything = pl.concat([past, new])
        cuts = _cuts(update, everything["first_seen"], settings)
        # A bridge has samples of several groups beside it, which may still be on several sides.
        shut = before.filter(pl.col("split") == EXCLUDED).select("sha256")
        known = dict.fromkeys(past.join(shut, on="sha256")["group_id"].to_list(), EXCLUDED)
        assigned = assign(everything, known, bridges, cuts, settings)
        rows = _changed(assigned, before)
        new_rows = assigned.join(new.select("sha256"), on="sha256", how="semi")
        both = rows.join(before.select("sha256", was="split"), on="sha256")
        moved = both.filter(pl.col("was") != pl.col("split")).height
        reasons, undated = _summary(assigned)
    else:
        cuts = _cuts(update, new["first_seen"], settings)
        # A survivor of a merge has its split from its own members, which all had the same.
        new_rows = assign(new, _known(update, new["group_id"]), bridges, cuts, settings)
        rows = pl.concat([new_rows, _renamed(update, merged)]).sort("sha256")
        moved = 0
        reasons, undated = _past(update)
        reasons |= _summary(new_rows)[0]
        undated += _summary(new_rows)[1]

    if len(rows) or update.has("splits"):
        update.write("splits", rows.to_arrow())
    how = method(reasons, cuts)
    counts = dict(new_rows.group_by("split").len().iter_rows())
    report = SplitReport(
        update=update.id,
        samples=len(new),
        splits={name: counts.get(name, 0) for name in SPLITS},
        moved=moved,
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
    """The settings' days; else those of the parent, so that they stay; else by weeks, once for all."""
    cuts = cuts_from_settings(settings) or Cuts.read(update.parent.manifest["splits"])
    if cuts:
        return cuts
    past = published(update.parent, "splits", ["sha256", "first_seen"])["first_seen"]
    return cuts_from_times(pl.concat([past, first_seen]), settings)


def _known(update: Update, group_ids: pl.Series) -> dict[str, str]:
    """The split of those groups that have one already."""
    columns = ["group_id", "split"]
    rows = published_with(update.parent, "splits", columns, "group_id", group_ids.unique())
    return dict(rows.unique().sort("group_id", "split").iter_rows())


def _renamed(update: Update, merged: pl.DataFrame) -> pl.DataFrame:
    """Rows of the parent whose group was merged, with the group that they are in now."""
    rows = published(update.parent, "splits", _COLUMNS, merged["sha256"])
    return rows.drop("group_id").join(merged, on="sha256").select(_COLUMNS)


def _past(update: Update) -> tuple[set[str], int]:
    """The summary of the parent's rows: its manifest knows it, and not one of the rows is read."""
    carried = update.parent.manifest["splits"]
    how = carried["method"]
    if not update.parent.files("splits"):
        return set(), 0
    if how is None:
        return _summary(published(update.parent, "splits", ["sha256", "reason", "first_seen"]))
    return {"time", "ratio"} if how == "mixed" else {how}, carried["undated"]


def _summary(rows: pl.DataFrame) -> tuple[set[str], int]:
    """Reasons that samples have their split for, and how many have no first-seen."""
    return set(rows["reason"].unique().to_list()), rows["first_seen"].null_count()


def _bridges(update: Update, new: pl.DataFrame) -> list[str]:
    """Groups of the samples for which a merge was refused."""
    merges = staged(update, "merges", ["via", "status"])
    refused = merges.filter(pl.col("status") == "refused")["via"].unique().to_list()
    return new.filter(pl.col("sha256").is_in(refused))["group_id"].unique().to_list()


def _with_first_seen(update: Update, samples: pl.DataFrame, *tables: str) -> pl.DataFrame:
    """Samples with the earliest first-seen that staged samples and verdicts, and these tables of the
    parent, know."""
    columns, sha256s = ["sha256", "first_seen"], samples["sha256"]
    times = [staged(update, table, columns) for table in ("samples", "verdicts")]
    times += [published_with(update.parent, table, columns, "sha256", sha256s) for table in tables]
    earliest = pl.concat(times).group_by("sha256").agg(pl.col("first_seen").min())
    return samples.join(earliest, on="sha256", how="left")


def _changed(assigned: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Rows that differ from the parent's, or that it does not have."""
    both = assigned.join(before.drop("reason"), on="sha256", how="left", suffix="_was")
    same = pl.all_horizontal(
        pl.col(name).eq_missing(pl.col(f"{name}_was"))
        for name in ("split", "group_id", "first_seen")
    )
    return both.filter(~same).select(_COLUMNS)
