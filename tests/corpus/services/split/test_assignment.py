"""Cuts, and the side of a group."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import BadSettingError
from corpus.services.split.assignment import (
    Cuts,
    assign,
    cuts_from_settings,
    cuts_from_times,
    method,
    split_by_ratio,
)
from corpus.settings import SplitSettings

pytestmark = pytest.mark.fast

MONDAY = datetime(2023, 9, 25, tzinfo=UTC)
CUTS = Cuts(date(2024, 9, 1), date(2024, 10, 1))
TIME = pl.Datetime("us", "UTC")


def times(days: list[float | None]) -> pl.Series:
    return pl.Series([None if d is None else MONDAY + timedelta(days=d) for d in days], dtype=TIME)


def frame(rows: list[tuple[str, str, datetime | None]]) -> pl.DataFrame:
    schema = {"sha256": pl.String, "group_id": pl.String, "first_seen": TIME}
    return pl.DataFrame(rows, schema=schema, orient="row")


def assigned(rows: list[tuple[str, str, datetime | None]], **more: Any) -> dict[str, Any]:
    options = {
        "known": {}, "bridges": [], "cuts": CUTS, "settings": SplitSettings(), **more
    }  # fmt: skip
    return {
        sha256: (split, reason)
        for sha256, split, _, _, reason in assign(frame(rows), **options).iter_rows()
    }


def test_of_64_weeks_the_last_12_are_test() -> None:
    # The weeks of EMBER2024: 24 September 2023 to 14 December 2024, from a Monday here.
    cuts = cuts_from_times(times([7 * week + 3 for week in range(64)]), SplitSettings())
    assert cuts is not None
    weeks = [MONDAY.date() + timedelta(weeks=week) for week in range(64)]
    assert sum(week >= cuts.test_from for week in weeks) == 12
    assert sum(cuts.validation_from <= week < cuts.test_from for week in weeks) == 4
    assert cuts.test_from.weekday() == cuts.validation_from.weekday() == 0


def test_a_short_span_is_cut_in_proportion() -> None:
    cuts = cuts_from_times(times([day + 0.5 for day in range(64)]), SplitSettings())
    assert cuts == Cuts(MONDAY.date() + timedelta(days=48), MONDAY.date() + timedelta(days=52))


@given(
    st.lists(st.floats(0, 3000), min_size=10, max_size=30), st.integers(0, 40), st.integers(0, 40)
)
def test_cuts_leave_something_to_train_on(
    days: list[float], validation_weeks: int, test_weeks: int
) -> None:
    seen = times(list(days))
    settings = SplitSettings(validation_weeks=validation_weeks, test_weeks=test_weeks)
    cuts = cuts_from_times(seen, settings)
    whole = {(MONDAY + timedelta(days=d)).date() for d in days}
    if (max(whole) - min(whole)).days < 2:
        # Three days are the least; whole weeks may still fit where there are no weeks to hold out.
        assert cuts is None or validation_weeks + test_weeks <= 1
    else:
        assert cuts is not None
        assert min(whole) < cuts.validation_from <= cuts.test_from
        assert (cuts.validation_from < cuts.test_from) is (validation_weeks > 0)
        assert (max(whole) >= cuts.test_from) is (test_weeks > 0)


@pytest.mark.parametrize("days", [[], [None] * 20, [0, 100] * 4, [0.1] * 20, [0.0, 1.9] * 20])
def test_too_few_dates_give_no_cuts(days: list[float | None]) -> None:
    assert cuts_from_times(times(days), SplitSettings()) is None


def test_cuts_from_settings() -> None:
    assert cuts_from_settings(SplitSettings()) is None
    both = SplitSettings(validation_from="2024-09-01", test_from="2024-10-01")
    assert cuts_from_settings(both) == CUTS
    assert cuts_from_settings(SplitSettings(test_from="2024-10-01")) == Cuts(
        date(2024, 9, 3), date(2024, 10, 1)
    )
    assert cuts_from_settings(SplitSettings(validation_from="2024-09-03")) == Cuts(
        date(2024, 9, 3), date(2024, 10, 1)
    )


def test_validation_that_begins_after_test_is_refused() -> None:
    with pytest.raises(BadSettingError) as caught:
        cuts_from_settings(SplitSettings(validation_from="2024-10-02", test_from="2024-10-01"))
    assert caught.value.field == "splits.validation_from"


def test_the_longest_weeks_from_the_first_and_the_last_day_are_dates() -> None:
    first = SplitSettings(test_from="1900-01-01", validation_weeks=5_200)
    last = SplitSettings(validation_from="2999-12-31", validation_weeks=5_200)
    assert cuts_from_settings(first) == Cuts(date(1800, 5, 5), date(1900, 1, 1))
    assert cuts_from_settings(last) == Cuts(date(2999, 12, 31), date(3099, 8, 29))


@pytest.mark.parametrize("ratio", [[], [1.0], [0.5, 0.6, -0.1], [0, 0, 0], [1, 1, float("nan")]])
def test_a_ratio_that_is_not_three_shares_is_refused(ratio: list[float]) -> None:
    with pytest.raises(BadSettingError) as caught:
        assigned([], settings=SplitSettings(ratio=ratio))
    assert caught.value.field == "splits.ratio"


def test_cuts_are_at_midnight_utc() -> None:
    second = timedelta(microseconds=1)
    september, october = datetime(2024, 9, 1, tzinfo=UTC), datetime(2024, 10, 1, tzinfo=UTC)
    rows = [
        ("a", "ga", september - second),
        ("b", "gb", september),
        ("c", "gc", october - second),
        ("d", "gd", october),
    ]
    splits = [split for split, _ in assigned(rows).values()]
    assert splits == ["train", "validation", "validation", "test"]


def test_the_earliest_member_decides_for_its_group() -> None:
    early, late = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 12, 1, tzinfo=UTC)
    rows = [("a", "g", late), ("b", "g", early), ("c", "g", None), ("d", "h", late)]
    assert assigned(rows) == {
        "a": ("train", "group"),
        "b": ("train", "time"),
        "c": ("train", "group"),
        "d": ("test", "time"),
    }


def test_a_group_that_has_a_split_keeps_it() -> None:
    late = datetime(2024, 12, 1, tzinfo=UTC)
    rows = [("a", "g", late), ("b", "h", late), ("c", "k", late)]
    known = {"g": "train", "k": "excluded"}
    assert assigned(rows, known=known, bridges=["h"]) == {
        "a": ("train", "group"),
        "b": ("excluded", "bridge"),
        "c": ("excluded", "group"),
    }


def test_without_cuts_all_go_by_ratio() -> None:
    rows = [(f"s{n}", f"g{n // 2}", MONDAY if n % 2 else None) for n in range(20)]
    found = assigned(rows, cuts=None)
    assert {reason for _, reason in found.values()} == {"ratio"}
    for n in range(0, 20, 2):
        expected = split_by_ratio(f"g{n // 2}", SplitSettings())
        assert found[f"s{n}"][0] == found[f"s{n + 1}"][0] == expected


def test_the_ratio_is_met_and_the_seed_matters() -> None:
    ids = [f"g-{n}" for n in range(4_000)]
    splits = [split_by_ratio(i, SplitSettings(ratio=[6, 1, 3])) for i in ids]
    for name, share in (("train", 0.6), ("validation", 0.1), ("test", 0.3)):
        assert splits.count(name) / len(ids) == pytest.approx(share, abs=0.04)
    assert splits != [split_by_ratio(i, SplitSettings(ratio=[6, 1, 3], seed=1)) for i in ids]


@pytest.mark.parametrize(
    ("ratio", "only"), [([1, 0, 0], "train"), ([0, 1, 0], "validation"), ([0, 0, 1], "test")]
)
def test_a_share_of_nothing_gets_nothing(ratio: list[float], only: str) -> None:
    found = {split_by_ratio(f"g-{n}", SplitSettings(ratio=ratio)) for n in range(500)}
    assert found == {only}


def test_the_method_is_what_placed_the_samples() -> None:
    assert method({"time", "group"}, CUTS) == "time"
    assert method({"ratio", "bridge"}, CUTS) == "ratio"
    assert method({"time", "ratio"}, None) == "mixed"
    assert method(set(), None) == "ratio"
