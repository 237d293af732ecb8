"""Feature hashing, against scikit-learn and scipy, to the bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.feature_extraction import FeatureHasher

from corpus.features.ember_v3.kernels.hashing import hash_pairs, hash_strings
from corpus.features.ember_v3.kernels.std_sort import sorted_order

COLUMNS = st.sampled_from([1, 2, 10, 32, 50, 256, 1024])
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def same_bits(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return ours.dtype == theirs.dtype == np.float64 and ours.tobytes() == theirs.tobytes()


@settings(max_examples=300, deadline=None)
@given(st.lists(NAMES, max_size=40), COLUMNS, st.booleans())
def test_strings(names: list[str], columns: int, alternate_sign: bool) -> None:
    hasher = FeatureHasher(columns, input_type="string", alternate_sign=alternate_sign)
    expected = hasher.transform([names]).toarray()[0]
    assert same_bits(hash_strings(names, columns, alternate_sign=alternate_sign), expected)


def check_pairs(pairs: Sequence[tuple[str, float]], columns: int) -> None:
    expected = FeatureHasher(columns, input_type="pair").transform([pairs]).toarray()[0]
    assert same_bits(hash_pairs(pairs, columns), expected)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(NAMES, st.sampled_from(["", ".text", "upx0"])),
            st.one_of(
                st.floats(-1e9, 1e9),
                st.integers(0, 2**32 - 1),
                st.sampled_from([0, 0.0, -0.0, 0.1, 6.25]),
            ),
        ),
        max_size=80,
    ),
    COLUMNS,
)
def test_pairs(pairs: list[tuple[str, float]], columns: int) -> None:
    check_pairs(pairs, columns)


def test_many_values_of_few_names_are_added_in_scipys_order() -> None:
    source = np.random.default_rng(3)
    in_order = 0
    for size in range(3, 120):
        names = [f".section{i}" for i in source.integers(0, 9, size)]
        pairs = list(zip(names, source.uniform(0, 8, size).tolist(), strict=True))
        check_pairs(pairs, 4)
        plain = np.zeros(4)
        for pair in pairs:
            plain += hash_pairs([pair], 4)
        in_order += plain.tolist() == hash_pairs(pairs, 4).tolist()
    # Else the order would make no difference here.
    assert in_order < 60


def test_lone_surrogates_have_no_hash() -> None:
    with pytest.raises(UnicodeEncodeError):
        hash_strings(["\ud800"], 8)


def scipys_order(keys: Sequence[int]) -> list[int]:
    shape = (1, max(keys) + 1)
    row = csr_array((np.arange(len(keys)), np.array(keys), np.array([0, len(keys)])), shape)
    row.sort_indices()
    return row.data.tolist()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=300).filter(lambda it: it != sorted(it)))
def test_order_of_equal_keys(keys: list[int]) -> None:
    assert sorted_order(keys) == scipys_order(keys)


@pytest.mark.parametrize("size", [40, 100, 101, 1_000, 1_001])
@pytest.mark.parametrize("repeats", [1, 3])
def test_order_where_medians_are_bad_pivots(size: int, repeats: int) -> None:
    """Musser's killer sequence, which ends in a heap sort."""
    half = size // 2
    keys = [0] * size
    for i in range(1, half + 1):
        if i % 2:
            keys[i - 1] = i
            keys[i] = half + i
        keys[half + i - 1] = 2 * i
    keys = [key // repeats for key in keys]
    assert sorted_order(keys) == scipys_order(keys)
