"""Columns of a Parquet file: as they were after the way out of the child, and nothing else believed."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.isolation import columns
from corpus.isolation.parquet import sandbox


def test_values_come_out_as_they_were() -> None:
    when = datetime(2024, 1, 2, tzinfo=UTC)
    texts = ["x", None, "é" * 5_000, ""] * 1_000
    table = pa.table(
        {
            "text": pa.array(texts),
            "number": pa.array([1, None, -(2**63), 0] * 1_000),
            "share": pa.array([0.5, None, 1.0, 0.0] * 1_000),
            "time": pa.array([when, None, when, when] * 1_000, pa.timestamp("us", tz="UTC")),
            "list": pa.array([["a", None], None, [], ["é"]] * 1_000, pa.list_(pa.string())),
            "vector": pa.array([[1.0, 2.0]] * 4_000, pa.list_(pa.float32(), 2)),
        }
    )
    for part in (table, table[:0]):
        stream = io.BytesIO()
        pq.write_table(part, stream)
        with sandbox() as box:
            (outcome,) = box.map([("key", stream.getvalue())])
        assert outcome.reason is None, outcome.detail
        found = {name: columns.unpacked(packed) for name, _, packed in outcome.value["columns"]}
        assert found.pop("vector").tolist() == part["vector"].to_pylist()
        part = part.set_column(3, "time", part["time"].cast(pa.int64())).drop_columns("vector")
        assert found == part.to_pydict()


def _text(valid: list[int], sizes: list[int], text: bytes) -> dict[str, Any]:
    return {"valid": np.array(valid, "u1"), "sizes": np.array(sizes, "i8"), "text": text}


@pytest.mark.parametrize(
    "packed",
    [
        None,
        [1, 2],
        {},
        np.zeros(3),
        {"valid": [1], "numbers": [1]},
        {"valid": np.ones(2), "numbers": np.ones(3)},
        {"valid": np.ones(1), "sizes": np.ones(1)},
        {"valid": np.ones(1), "sizes": np.ones(1, "i8"), "items": None},
        _text([1], [2], b"x"),
        _text([1, 1], [-1, 2], b"x"),
        _text([1, 1], [1], b"x"),
        _text([1], [1], b"\xff"),
        {"valid": np.ones(1, "u1"), "sizes": np.array([0.5]), "text": b""},
    ],
)
def test_what_no_decoder_gives_is_refused(packed: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        columns.unpacked(packed)
