from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.errors import BadInputError
from corpus.sources.manifest import ManifestRow, read_manifest
from tests.support.places import anywhere

pytestmark = pytest.mark.fast
FILES = anywhere("s3://bucket", "memory://listed", "memory://other")

INPUTS = Path(__file__).parents[2] / "data" / "manifests"
A, B = "a" * 64, "B" * 64
FULL = [
    {
        "sha256": A,
        "location": "x/a.exe",
        "first_seen": "2024-03-01",
        "source": "feed",
        "tags": "b;a",
    },
    {"sha256": B, "location": "/abs/b.exe", "first_seen": "", "source": "", "tags": ""},
]


def write(folder: Path, suffix: str, rows: Sequence[dict[str, Any]]) -> str:
    path = folder / f"m.{suffix}"
    if suffix == "csv":
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    elif suffix == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return str(path)


def read(url: str | Path) -> list[ManifestRow]:
    return list(read_manifest(str(url), FILES))


def refused(url: str | Path) -> BadInputError:
    with pytest.raises(BadInputError) as error:
        read(url)
    assert error.value.file == str(url)
    return error.value


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_every_format_says_the_same(tmp_path: Path, suffix: str) -> None:
    assert read(write(tmp_path, suffix, FULL)) == [
        ManifestRow(
            1, f"{tmp_path}/x/a.exe", A, datetime(2024, 3, 1, tzinfo=UTC), "feed", ("a", "b")
        ),
        ManifestRow(2, "/abs/b.exe", B.lower(), None, None, ()),
    ]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_other_columns_are_ignored(tmp_path: Path, suffix: str) -> None:
    rows = [{"verdict": "malicious", "sha256": A, "other": "1", "location": "a"}]
    (row,) = read(write(tmp_path, suffix, rows))
    assert row == ManifestRow(1, f"{tmp_path}/a", A, None, None, ())


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sha256", "xyz"),
        ("sha256", "g" * 64),
        ("sha256", "a" * 63),
        ("location", ""),
        ("location", "  "),
        ("first_seen", "not a date"),
        ("first_seen", "2024-13-01"),
        ("first_seen", "31.12.2024"),
        ("first_seen", "1970-01-01"),
        ("first_seen", "2099-12-31"),
        ("first_seen", "0"),
    ],
)
def test_a_bad_value_is_named(tmp_path: Path, suffix: str, field: str, value: str) -> None:
    error = refused(write(tmp_path, suffix, [FULL[0], FULL[0] | {field: value}]))
    assert (error.row, error.field) == (2, field)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("field", ["sha256", "location"])
def test_a_missing_column_is_named(tmp_path: Path, suffix: str, field: str) -> None:
    rows = [{name: value for name, value in row.items() if name != field} for row in FULL]
    assert refused(write(tmp_path, suffix, rows)).field == field


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_manifest_that_is_not_there(tmp_path: Path, suffix: str) -> None:
    assert "does not exist" in str(refused(tmp_path / f"none.{suffix}"))


@pytest.mark.parametrize(
    ("text", "row", "problem"),
    [
        (f"sha256,location\n{A},a,b\n", 1, "3 cells; the header has 2"),
        (f"sha256,location\n{A},a\n{A}\n", 2, "1 cells; the header has 2"),
        (f'sha256,location\n{A},"a\n', 1, "not CSV"),
        (f'sha256,location\n{A},a\n{A},"a"b\n', 2, "not CSV"),
        (f"sha256,location,location\n{A},a,b\n", None, "more than once"),
        ("", None, "no such column"),
    ],
)
def test_a_ragged_csv(tmp_path: Path, text: str, row: int | None, problem: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text)
    error = refused(path)
    assert error.row == row
    assert problem in str(error)


def test_a_csv_with_a_byte_order_mark_and_quoted_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(f'\ufeffsha256,location\r\n{A},"a\nb, c"\r\n\r\n{B},d\r\n'.encode())
    assert [row.location for row in read(path)] == [f"{tmp_path}/a%0Ab, c", f"{tmp_path}/d"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"sha256": "' + b"\xff" * 64 + b'", "location": "a"}', "not UTF-8"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_broken_line(tmp_path: Path, line: bytes, problem: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(json.dumps(FULL[0]).encode() + b"\n\n" + line + b"\n")
    error = refused(path)
    assert error.row == 3
    assert problem in str(error)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sha256", 5),
        ("location", None),
        ("location", ["a"]),
        ("location", "a\0b"),
        ("location", "a\ud800"),
        ("first_seen", True),
        ("first_seen", [1]),
        ("first_seen", 1e300),
        ("source", 1),
        ("tags", 1),
        ("tags", [1]),
        ("tags", ["\ud800"]),
    ],
)
def test_json_of_another_type(tmp_path: Path, field: str, value: object) -> None:
    error = refused(write(tmp_path, "jsonl", [FULL[0] | {field: value}]))
    assert (error.row, error.field) == (1, field)


def test_bytes_that_are_not_utf_8_are_named_by_row_and_field(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(f"sha256,location,tags\n{A},a,x\n{A},".encode() + b"b\xff,x\n")
    error = refused(path)
    assert (error.row, error.field) == (2, "location")


def test_a_file_that_is_not_parquet(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    path.write_bytes(b"PAR1 it is not")
    assert "not a whole Parquet file" in str(refused(path))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-03-01", datetime(2024, 3, 1, tzinfo=UTC)),
        ("2024-03-01T10:20:30", datetime(2024, 3, 1, 10, 20, 30, tzinfo=UTC)),
        ("2024-03-01 10:20:30Z", datetime(2024, 3, 1, 10, 20, 30, tzinfo=UTC)),
        ("2024-03-01T10:20:30+02:00", datetime(2024, 3, 1, 8, 20, 30, tzinfo=UTC)),
        ("1709288430", datetime(2024, 3, 1, 10, 20, 30, tzinfo=UTC)),
        (1709288430, datetime(2024, 3, 1, 10, 20, 30, tzinfo=UTC)),
        (20240301, datetime(2024, 3, 1, tzinfo=UTC)),
        ("20240301", datetime(2024, 3, 1, tzinfo=UTC)),
        (None, None),
    ],
)
def test_times(tmp_path: Path, value: object, expected: datetime | None) -> None:
    (row,) = read(write(tmp_path, "jsonl", [FULL[0] | {"first_seen": value}]))
    assert row.first_seen == expected


def test_parquet_with_types_of_its_own(tmp_path: Path) -> None:
    rows = [
        {"sha256": A, "location": "a", "first_seen": date(2024, 3, 1), "tags": ["y", "x"]},
        {"sha256": None, "location": "b", "first_seen": None, "tags": None},
    ]
    first, second = read(write(tmp_path, "parquet", rows))
    assert (first.first_seen, first.tags) == (datetime(2024, 3, 1, tzinfo=UTC), ("x", "y"))
    assert (second.sha256, second.first_seen, second.tags) == (None, None, ())


def test_days_as_integers_of_parquet(tmp_path: Path) -> None:
    rows = [{"sha256": A, "location": "a", "first_seen": day} for day in (20230102, 20231231, None)]
    found = [row.first_seen for row in read(write(tmp_path, "parquet", rows))]
    assert found == [datetime(2023, 1, 2, tzinfo=UTC), datetime(2023, 12, 31, tzinfo=UTC), None]


def test_parquet_with_nanoseconds(tmp_path: Path) -> None:
    table = pa.table(
        {"sha256": [A], "location": ["a"], "first_seen": pa.array([1706000000_123456789], pa.timestamp("ns"))}
    )  # fmt: skip
    pq.write_table(table, tmp_path / "m.parquet")
    (row,) = read(tmp_path / "m.parquet")
    assert row.first_seen == datetime(2024, 1, 23, 8, 53, 20, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "row"), [("zero.jsonl", None), ("neg.jsonl", 1), ("future.jsonl", None)]
)
def test_numbers_that_are_no_dates_and_a_date_of_the_future(name: str, row: int | None) -> None:
    error = refused(INPUTS / name)
    assert error.field == "first_seen"
    assert row is None or error.row == row


def test_a_day_as_an_integer_is_that_day() -> None:
    (row,) = read(INPUTS / "int_yyyymmdd.jsonl")
    assert row.first_seen == datetime(2024, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize("value", ["a,b", "b; a", ["b", "a", "a", " "], "a|b"])
def test_tags(tmp_path: Path, value: object) -> None:
    (row,) = read(write(tmp_path, "jsonl", [FULL[0] | {"tags": value}]))
    assert row.tags == ("a", "b")


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("a.exe", "{}/a.exe"),
        ("./b/../a.exe", "{}/a.exe"),
        ("100%.exe", "{}/100%25.exe"),
        ("/abs/a", "/abs/a"),
        ("file:///abs/a", "/abs/a"),
        ("s3://bucket/a b", "s3://bucket/a b"),
    ],
)
def test_locations(tmp_path: Path, location: str, expected: str) -> None:
    (row,) = read(write(tmp_path, "jsonl", [FULL[0] | {"location": location}]))
    assert row.location == expected.format(tmp_path)


def test_a_remote_manifest(tmp_path: Path) -> None:
    fs = fsspec.filesystem("memory")
    text = f"sha256,location\n{A},sub/a.exe\n{A},/b\n{A},memory://other/c\n"
    fs.pipe_file(f"/listed/{tmp_path.name}/m.csv", text.encode())
    base = f"memory://listed/{tmp_path.name}"
    found = [row.location for row in read_manifest(f"{base}/m.csv", FILES)]
    assert found == [f"{base}/sub/a.exe", f"{base}/b", "memory://other/c"]
