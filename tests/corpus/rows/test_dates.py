"""Dates as integers, as text and as times of Parquet: one reader for manifests and verdict files."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.rows.bad_value import BadValueError
from corpus.rows.dates import Dates
from corpus.rows.parquet_cells import rows_of

pytestmark = pytest.mark.fast

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
JANUARY = datetime(2024, 1, 31, tzinfo=UTC)


def read(value: object) -> datetime:
    return Dates(now=NOW).read(value)


@pytest.mark.parametrize(
    "value",
    [
        20240131, 20240131.0, Decimal(20240131), "20240131", " 2024-01-31 ", "2024-01-31T00:00:00Z", "2024-01-31 00:00:00 UTC",
        "2024-01-31T00:00:00.000000000", "2024-01-31T01:00:00+01:00", 1706659200, 1706659200.0, "1706659200",
        "1706659200.0", date(2024, 1, 31), datetime(2024, 1, 31), datetime(2024, 1, 31, 2, tzinfo=timezone(timedelta(hours=2))),
    ],
)  # fmt: skip
def test_a_day_in_every_way_that_it_is_written(value: object) -> None:
    assert read(value) == JANUARY


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        *((value, "bad_date") for value in (
            0, -1, 1, "0", "-1", 20241301, "20240230", 99, 1e300, float("nan"), float("inf"), True, [], {}, b"2024-01-31",
            "yesterday", "nan", "n/a", "2024", "2024-01", "31.12.2024", "1989-12-31", "1970-01-01 00:00:00",
            "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2024-01-31T", "1" * 5000, date(1970, 1, 1), -(10**18),
        )),
        *((value, "future_date") for value in ("2099-12-31", 20991231, 4102358400, "2026-06-02T13:00:00Z")),
    ],
)  # fmt: skip
def test_what_is_no_date(value: object, reason: str) -> None:
    with pytest.raises(BadValueError) as caught:
        read(value)
    assert caught.value.reason == reason


def test_a_day_ahead_is_not_the_future() -> None:
    assert read("2026-06-02T11:00:00Z").day == 2


def test_the_earliest_day_is_told_and_is_a_choice() -> None:
    assert Dates(date(1970, 1, 1), NOW).read("1980-05-05").year == 1980
    with pytest.raises(
        BadValueError, match=r"1970-01-01, which is before 1990-01-01 \(dates.earliest\)"
    ):
        read(0)


def test_nothing_is_no_date() -> None:
    assert [Dates().read_if_any(value) for value in (None, "", "  ")] == [None] * 3


@pytest.mark.parametrize("kind", [
    pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.timestamp("ns"),
    pa.timestamp("ns", "Europe/Berlin"), pa.date32(), pa.date64(), pa.dictionary(pa.int8(), pa.string()),
])  # fmt: skip
def test_every_kind_of_time_of_parquet(kind: pa.DataType) -> None:
    said = ["2024-01-31", None]
    if pa.types.is_dictionary(kind):
        column = pa.array(said).dictionary_encode()
    else:
        column = pa.array(said).cast(pa.timestamp("ns")).cast(kind)
    assert [Dates().read_if_any(value) for value in _through_parquet(column)] == [JANUARY, None]


def test_nanoseconds_are_cut_off() -> None:
    column = pa.array([1706000000_123456789], pa.timestamp("ns"))
    (value,) = _through_parquet(column)
    assert read(value) == datetime(2024, 1, 23, 8, 53, 20, 123456, tzinfo=UTC)


@pytest.mark.parametrize("column", [
    pa.array([2**62, -(2**62)], pa.timestamp("us")), pa.array([10**15, -(10**15)], pa.timestamp("s")),
    pa.array([2**31 - 1, -(2**31)], pa.date32()), pa.array([10**16], pa.timestamp("ms")),
])  # fmt: skip
def test_times_beyond_all_years_are_no_dates(column: pa.Array) -> None:
    for value in _through_parquet(column):
        with pytest.raises(BadValueError):
            read(value)


def test_text_that_is_not_utf_8_is_still_a_row() -> None:
    raw = pa.array([b"good", b"\xff", None], pa.binary())
    column = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2], raw.buffers()[0], 1)
    assert rows_of(pa.record_batch({"a": column}))[1] == {"a": "\udcff"}


def _through_parquet(column: pa.Array) -> list[object]:
    file = io.BytesIO()
    pq.write_table(pa.table({"t": column}), file, version="2.6")
    return [row["t"] for batch in pq.ParquetFile(file).iter_batches() for row in rows_of(batch)]
