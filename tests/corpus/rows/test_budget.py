"""Budgets: each has an input that goes beyond it, and real batches pass."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd

from corpus.errors import BadInputError
from corpus.rows import csv_rows, json_rows, parquet_rows
from corpus.rows.budget import Budget, unpacked
from corpus.rows.row import BadRow

pytestmark = pytest.mark.fast

SMALL = Budget(max_bytes=1 << 20, max_ratio=200, max_rows=1_000, max_record_bytes=1 << 16)


def read(content: bytes, budget: Budget = SMALL) -> int:
    stream = unpacked(io.BytesIO(content), "f", budget)
    if stream.peek(1)[:1] in (b"{", b"["):
        return sum(1 for _ in json_rows.records(stream, "f", budget))
    _, rows = csv_rows.table(stream, "f", budget, ("a",))
    return sum(1 for _ in rows)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            lambda: gzip.compress(b"a,b\n" + b"1," + b"2" * 4_000 + b"\n") * 300,
            "more than 1048576 bytes",
        ),
        (lambda: b"a,b\n" + b"1,2" * (1 << 19), "longer than 65536 bytes"),
        (lambda: b"a,b\n" + b"1,2\n" * 2_000, "more than 1000 rows"),
        (lambda: b'{"a": 1}\n' * 2_000, "more than 1000 rows"),
        (lambda: b"[" + b"{}," * 2_000 + b"{}]", "more than 1000 rows"),
        (lambda: b'["' + b"a" * (1 << 18) + b'"]', "a JSON value of more than 65536 bytes"),
        (lambda: b"{\n" + b'"a":\n1,\n' * (1 << 14), "a JSON value of more than 65536 bytes"),
        (lambda: b'{"a": 1}\n{"a": "' + b"a" * (1 << 18) + b'"}', "longer than 65536 bytes"),
    ],
)
def test_beyond_a_budget(content: Callable[[], bytes], problem: str) -> None:
    with pytest.raises(BadInputError, match=problem):
        read(content())


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_a_bomb_takes_little_memory(pack: Callable[[bytes], bytes]) -> None:
    """Half a megabyte of gzip used to take 1.7 GB: one long line, read as a whole."""
    bomb = pack(b'{"sha256": "' + b"a" * (256 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(BadInputError, match=r"longer than|more than 200 times"):
            read(bomb, Budget())
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()


def test_members_of_gzip_are_counted() -> None:
    with pytest.raises(BadInputError, match="more than 100000 gzip members"):
        read(gzip.compress(b"") * 100_001)


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, b'{"a": ' * 50_000, b'{"a": ' + b"9" * 5_000 + b"}"]
)
def test_deep_and_long_json_is_a_row_that_is_left_out(line: bytes) -> None:
    stream = unpacked(io.BytesIO(b'{"a": 1}\n' + line + b'\n{"b": 1}\n'), "f", Budget())
    good, bad, last = json_rows.records(stream, "f", Budget())
    assert isinstance(bad, BadRow)
    assert not isinstance(good, BadRow)
    assert not isinstance(last, BadRow)


def test_a_parquet_file_that_unpacks_to_much() -> None:
    file = io.BytesIO()
    text = pa.array(["a" * (1 << 20)] * 64)
    pq.write_table(pa.table({"a": text}), file, compression="zstd", use_dictionary=False)
    with pytest.raises(BadInputError, match="unpacks to more"):
        list(parquet_rows.rows(file, "f", Budget(), ["a"]))
    # In a dictionary it is one text, and takes as much memory as one.
    pq.write_table(pa.table({"a": text}), file := io.BytesIO(), compression="zstd")
    assert len(list(parquet_rows.rows(file, "f", Budget(), ["a"]))) == 64
    pq.write_table(pa.table({"a": range(2_000)}), file := io.BytesIO())
    with pytest.raises(BadInputError, match="more than 1000 rows"):
        list(parquet_rows.rows(file, "f", SMALL, ["a"]))


def test_a_real_batch_passes() -> None:
    report = {
        "data": {"id": "a" * 64, "attributes": {"results": {str(n): "x" * 40 for n in range(900)}}}
    }
    lines = (json.dumps(report) + "\n").encode() * 300
    assert read(zstd.compress(lines, level=3), Budget(max_ratio=100_000)) == 300
    # One line that is longer than a record may be.
    entries = json.dumps([report] * 300).encode()
    assert read(entries, Budget(max_record_bytes=1 << 20)) == 300
