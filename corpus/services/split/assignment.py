"""Train, validation and test: by first-seen time if it is known, by group if it is not.

A group lies on one side as a whole. A new group goes where the earliest first-seen of its members
puts it; one without any date goes where a stable hash of its id puts it, by the shares of
`splits.ratio`. Groups that have a split keep it. docs/reference/groups-and-splits.md has the rules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from corpus.contract.splits import EXCLUDED, TEST, TRAIN, VALIDATION
from corpus.errors import BadSettingError
from corpus.settings import SplitSettings
from corpus.store.manifest import SplitCuts

# EMBER2024 has 64 weeks, and 12 of them are test; with 4 for validation, 48 are left to train on.
_TRAIN_WEEKS = 48
# From fewer samples, or fewer days, no cut is worth keeping for good.
_MIN_DATED = 10
_MIN_DAYS = 3


@dataclass(frozen=True)
class Cuts:
    """First day, at midnight UTC, of the validation and of the test split."""

    validation_from: date
    test_from: date

    @classmethod
    def read(cls, values: SplitCuts) -> Cuts | None:
        """Read a manifest's `splits`; None if it has no cuts."""
        first, second = values["validation_from"], values["test_from"]
        if not first or not second:
            return None
        return cls(date.fromisoformat(first), date.fromisoformat(second))


def cuts_from_settings(settings: SplitSettings) -> Cuts | None:
    """The cuts that the settings name; of two days one may be left to the weeks between them."""
    validation, test = (
        date.fromisoformat(day) if day else None
        for day in (settings.validation_from, settings.test_from)
    )
    between = timedelta(weeks=settings.validation_weeks)
    if test is None and validation is None:
        return None
    if test is None:
        assert validation is not None
        test = validation + between
    if validation is None:
        validation = test - between
    if validation > test:
        raise BadSettingError(
            f"validation begins on {validation}, after test on {test}.",
            field="splits.validation_from",
        )
    return Cuts(validation, test)


def cuts_from_times(first_seen: pl.Series, settings: SplitSettings) -> Cuts | None:
    """Cuts for a first snapshot: the last weeks, the newest one counted, are test.

    Weeks begin on Monday, UTC. A span too short for these weeks is cut, by days, in the proportions
    that they have beside EMBER2024's 48 weeks of training. None if times are too few (10 samples)
    or too close together (3 days).
    """
    times = first_seen.drop_nulls()
    if len(times) < _MIN_DATED:
        return None
    oldest, newest = times.min(), times.max()
    assert isinstance(oldest, datetime)
    assert isinstance(newest, datetime)
    first, last = oldest.astimezone(UTC).date(), newest.astimezone(UTC).date()
    week = last - timedelta(days=last.weekday())
    test = week + timedelta(weeks=1 - settings.test_weeks)
    validation = test - timedelta(weeks=settings.validation_weeks)
    if first < validation:
        return Cuts(validation, test)
    days = (last - first).days + 1
    if days < _MIN_DAYS:
        return None
    weeks = _TRAIN_WEEKS + settings.validation_weeks + settings.test_weeks
    test_days, validation_days = (
        max(1, round(days * part / weeks)) if part else 0
        for part in (settings.test_weeks, settings.validation_weeks)
    )
    # Where train's share rounds to nothing it still gets the first day.
    test_days = min(test_days, days - 1 - min(validation_days, 1))
    validation_days = min(validation_days, days - 1 - test_days)
    test = last + timedelta(days=1 - test_days)
    return Cuts(test - timedelta(days=validation_days), test)


def shares(settings: SplitSettings) -> tuple[float, float, float]:
    """Return the ratio, scaled to a sum of 1. Raises `BadSettingError` if it is not three shares."""
    ratio = settings.ratio
    if len(ratio) != 3 or any(not 0 <= share < float("inf") for share in ratio) or not sum(ratio):
        raise BadSettingError(
            "three shares, none below 0, of train, validation and test are needed.",
            field="splits.ratio",
        )
    train, validation, test = (share / sum(ratio) for share in ratio)
    return train, validation, test


def split_by_ratio(group_id: str, settings: SplitSettings) -> str:
    """The side that a stable, seeded hash of the group's id falls on."""
    train, validation, test = shares(settings)
    digest = hashlib.sha256(f"{settings.seed}:{group_id}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < train:
        return TRAIN
    return VALIDATION if place < train + validation or not test else TEST


def assign(
    samples: pl.DataFrame,
    known: Mapping[str, str],
    bridges: Iterable[str],
    cuts: Cuts | None,
    settings: SplitSettings,
) -> pl.DataFrame:
    """Rows of `splits` for samples (columns sha256, group_id, first_seen), in the order of sha256.

    `known` has the split of groups that have one, `bridges` the groups to exclude; all members of any
    other group must be among the samples.
    """
    shares(settings)
    groups = samples.group_by("group_id").agg(pl.col("first_seen").min().alias("earliest"))
    groups = groups.with_columns(
        known=_lookup("group_id", known),
        bridge=pl.col("group_id").is_in(sorted(bridges)),
        by_time=_by_time("earliest", cuts),
    )
    hashed = groups.filter(
        pl.col("known").is_null() & pl.col("by_time").is_null() & ~pl.col("bridge")
    )["group_id"]
    by_ratio = {group_id: split_by_ratio(group_id, settings) for group_id in hashed}
    groups = groups.with_columns(
        by_ratio=_lookup("group_id", by_ratio),
        excluded=pl.when("bridge").then(pl.lit(EXCLUDED)),
    ).with_columns(split=pl.coalesce("known", "excluded", "by_time", "by_ratio"))
    rows = samples.join(groups, on="group_id", how="left").with_columns(
        own=_by_time("first_seen", cuts)
    )
    reason = (
        pl.when(pl.col("known").is_not_null())
        .then(pl.lit("group"))
        .when("bridge")
        .then(pl.lit("bridge"))
        .when(pl.col("by_time").is_null())
        .then(pl.lit("ratio"))
        .when(pl.col("own").eq_missing(pl.col("split")))
        .then(pl.lit("time"))
        .otherwise(pl.lit("group"))
    )
    return rows.select("sha256", "split", "group_id", "first_seen", reason.alias("reason")).sort(
        "sha256"
    )


def _lookup(column: str, values: Mapping[str, str]) -> pl.Expr:
    return pl.col(column).replace_strict(
        list(values), list(values.values()), default=None, return_dtype=pl.String
    )


def _by_time(column: str, cuts: Cuts | None) -> pl.Expr:
    """Return the split of each time; null if there is no time or no cut."""
    if cuts is None:
        return pl.lit(None, pl.String)
    validation, test = (
        pl.lit(datetime.combine(day, time(), UTC)).cast(pl.Datetime("us", "UTC"))
        for day in (cuts.validation_from, cuts.test_from)
    )
    seen = pl.col(column)
    return (
        pl.when(seen.is_null())
        .then(None)
        .when(seen < validation)
        .then(pl.lit(TRAIN))
        .when(seen < test)
        .then(pl.lit(VALIDATION))
        .otherwise(pl.lit(TEST))
    )


def method(reasons: set[str], cuts: Cuts | None) -> str:
    """`time`, `ratio`, or `mixed`, by the reasons that samples have their split for."""
    if {"time", "ratio"} <= reasons:
        return "mixed"
    if reasons & {"time", "ratio"}:
        return "time" if "time" in reasons else "ratio"
    return "time" if cuts else "ratio"
