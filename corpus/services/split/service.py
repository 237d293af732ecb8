"""`split`: train, validation and test for an update's new samples; the past stays where it is.

Takes the staged `groups`, `merges`, `samples` and `verdicts` and the base's `splits`; stages `splits`
(rows of the new samples, of those whose group was merged, and with `resplit` of all that moved).
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

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
from corpus.store.schemas import TABLES
from corpus.store.staging import Update

_COLUMNS = ["sha256", "split", "group_id", "first_seen", "reason"]


def split(request: SplitRequest, context: Context) -> SplitReport:
    """Stage splits. Raises `BadSettingError` where the days or the ratio of the settings are unusable."""
    update, settings = context.begin(request), context.settings.splits
    grouped = _staged(update, "groups", ["sha256", "group_id", "reason"])
    merged = grouped.filter(pl.col("reason") == "merge").select("sha256", "group_id")
    new = grouped.filter(pl.col("reason") != "merge").select("sha256", "group_id")
    new = _with_first_seen(update, new, "verdicts")
    context.progress.say(f"split: {len(new)} new samples.")

    bridges = _bridges(update, new)
    if request.resplit:
        base = _base(update, "splits", _COLUMNS)
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
        before = rows.join(base.select("sha256", was="split"), on="sha256")
        moved = before.filter(pl.col("was") != pl.col("split")).height
        reasons, undated = _summary(assigned)
    else:
        cuts = _cuts(update, new["first_seen"], settings)
        # A survivor of a merge has its split from its own members, all of which had the same.
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
    """The settings' days; else those of the base, so that they stay; else by weeks, once for all."""
    carried = update.base.manifest.get("splits") if update.base else None
    cuts = cuts_from_settings(settings) or Cuts.read(carried or {})
    if cuts:
        return cuts
    base = _base(update, "splits", ["sha256", "first_seen"])["first_seen"]
    return cuts_from_times(pl.concat([base, first_seen]), settings)


def _known(update: Update, group_ids: pl.Series) -> dict[str, str]:
    """The split of those groups that have one already."""
    if update.base is None or not len(group_ids):
        return {}
    values = group_ids.unique().to_arrow()
    rows = update.base.scan_with("splits", ["group_id", "split"], "group_id", values)
    return dict(_frame(rows).unique().sort("group_id", "split").iter_rows())


def _renamed(update: Update, merged: pl.DataFrame) -> pl.DataFrame:
    """Rows of the base whose group was merged, with the group that they are in now."""
    if update.base is None or not len(merged):
        return _frame(TABLES["splits"].schema.empty_table().select(_COLUMNS))
    rows = update.base.scan("splits", _COLUMNS, keys=merged["sha256"].to_arrow())
    return _frame(rows).drop("group_id").join(merged, on="sha256").select(_COLUMNS)


def _past(update: Update) -> tuple[set[str], int]:
    """As `_summary`, of the base: its manifest knows, and not one of its rows is read."""
    carried = update.base.manifest.get("splits") if update.base else None
    if update.base is None or not update.base.files("splits"):
        return set(), 0
    if not carried or not carried.get("method"):
        return _summary(_base(update, "splits", ["sha256", "reason", "first_seen"]))
    how = carried["method"]
    return {"time", "ratio"} if how == "mixed" else {how}, carried["undated"]


def _summary(rows: pl.DataFrame) -> tuple[set[str], int]:
    """Reasons that samples have their split for, and how many have no first-seen."""
    return set(rows["reason"].unique().to_list()), rows["first_seen"].null_count()


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
        for table in published:
            times.append(_frame(update.base.scan_with(table, columns, "sha256", sha256s)))
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
