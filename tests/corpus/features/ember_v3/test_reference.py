"""ember-v3 gives the reference's vectors, bit for bit, in any process and in any order.

tests/data/ember_v3/README.md says how the expected vectors were made.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from corpus import features
from tests.data.ember_v3.make import VECTORS
from tests.support.pe.reference_inputs import inputs

EMBER = features.get("ember-v3")
EXPECTED = np.load(VECTORS)
NUMBERS = range(len(EXPECTED["name"]))


@cache
def files() -> list[tuple[str, bytes]]:
    return list(inputs())


def test_the_files_are_those_of_the_expected_vectors() -> None:
    assert [name for name, _ in files()] == EXPECTED["name"].tolist()
    digests = [hashlib.sha256(data).hexdigest() for _, data in files()]
    different = [
        name
        for (name, _), here, there in zip(files(), digests, EXPECTED["sha256"], strict=True)
        if here != there
    ]
    assert not different, "see tests/data/ember_v3/README.md"


def test_the_expected_vectors_are_worth_something() -> None:
    assert EXPECTED["X"].shape == (len(NUMBERS), EMBER.dim)
    assert len({row.tobytes() for row in EXPECTED["X"]}) >= len(NUMBERS) - 1
    warnings = next(group for group in EMBER.groups if group.name == "pefilewarnings")
    assert np.count_nonzero(EXPECTED["X"][:, warnings.start : warnings.stop].any(axis=0)) > 35


@pytest.mark.parametrize("number", NUMBERS, ids=EXPECTED["name"].tolist())
def test_the_vector_is_the_reference_s(number: int) -> None:
    vector = EMBER.vector(files()[number][1])
    assert different_groups(vector, EXPECTED["X"][number]) == {}


@pytest.mark.parametrize("number", NUMBERS[::3], ids=EXPECTED["name"].tolist()[::3])
def test_raw_features_give_the_same_vector_also_when_stored(number: int) -> None:
    raw = EMBER.raw(files()[number][1])
    stored = json.loads(json.dumps(raw, sort_keys=True, allow_nan=False))
    assert different_groups(EMBER.vectorize(raw), EXPECTED["X"][number]) == {}
    assert different_groups(EMBER.vectorize(stored), EXPECTED["X"][number]) == {}


def different_groups(vector: np.ndarray, expected: np.ndarray) -> dict[str, list[int]]:
    """Columns with other bits, by group."""
    columns = np.flatnonzero(vector.view(np.uint32) != expected.view(np.uint32)).tolist()
    return {
        group.name: found
        for group in EMBER.groups
        if (found := [column for column in columns if group.start <= column < group.stop])
    }


_IN_ANOTHER_ORDER = """
import hashlib, json
from corpus import features
from tests.support.pe.reference_inputs import inputs
ember = features.get("ember-v3")
vectors = [ember.vector(data) for _, data in reversed(list(inputs()))]
print(json.dumps([hashlib.sha256(vector.tobytes()).hexdigest() for vector in reversed(vectors)]))
"""


def test_another_process_with_another_hash_seed_in_another_order() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IN_ANOTHER_ORDER],
        cwd=Path(__file__).parents[4],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    there = json.loads(done.stdout)
    expected = [hashlib.sha256(row.tobytes()).hexdigest() for row in EXPECTED["X"]]
    names = EXPECTED["name"].tolist()
    assert [n for n, a, b in zip(names, there, expected, strict=True) if a != b] == []
