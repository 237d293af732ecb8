"""What a child answers after reading a hostile file is not believed, and what is no file not read."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.sandbox import Outcome
from corpus.vectorize.files import _Reader, _Rows

SOUND = {"sha256": "0" * 64, "vector": np.zeros(4, np.float32), "raw": '{"a":[1]}'}


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {**SOUND, "sha256": "0" * 63 + "\n"},
        {**SOUND, "sha256": 7},
        {**SOUND, "vector": np.zeros(5, np.float32)},
        {**SOUND, "vector": np.zeros(4, np.float64)},
        {**SOUND, "vector": np.full(4, np.nan, np.float32)},
        {**SOUND, "vector": [0.0] * 4},
        {**SOUND, "raw": '{"a":1}\n{"b":2}'},
        {**SOUND, "raw": '{"a":\n1}'},
        {**SOUND, "raw": "["},
        {**SOUND, "raw": "[" * 100_000},
        {**SOUND, "raw": None},
    ],
)
def test_a_broken_answer_is_a_failure(tmp_path: Path, value: Any):
    raw = io.BytesIO()
    rows = _Rows(tmp_path, 4, raw)
    rows.add("path", Outcome("path", value))
    assert (rows.vectors.rows, dict(rows.reasons), raw.getvalue()) == (0, {"crash": 1}, b"")


def test_a_sound_answer_is_a_row(tmp_path: Path):
    raw = io.BytesIO()
    rows = _Rows(tmp_path, 4, raw)
    rows.add("path", Outcome("path", SOUND))
    assert (rows.vectors.rows, len(rows.failed)) == (1, 0)
    assert raw.getvalue() == b'{"sha256":"%s","raw":{"a":[1]}}\n' % (b"0" * 64)


def test_a_folder_is_unreadable_and_leaves_nothing_open(tmp_path: Path):
    reader = _Reader([str(tmp_path)] * 3, 100)
    before = len(os.listdir("/proc/self/fd"))
    assert list(reader.payloads()) == [(str(tmp_path), b"")] * 3
    assert list(reader.given) == [(str(tmp_path), ("unreadable", "Is a directory"))] * 3
    assert len(os.listdir("/proc/self/fd")) == before
