"""Counts and entropies of bytes, against plain Python and numpy by the definition, to the bit."""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.errors import BadInputError
from corpus.features.ember_v3.kernels.compiled import byte_array, compiled
from corpus.features.ember_v3.kernels.content import Content, general_vector, shares
from corpus.features.ember_v3.kernels.window_terms import WINDOW, window_terms
from tests.support.executables import real_elfs, real_pes


def plain_entropy(data: bytes) -> float:
    """Term by term, in the order in which a dictionary has the bytes."""
    entropy = 0.0
    for count in Counter(data).values():
        share = count / len(data)
        entropy -= share * math.log(share, 2)
    return entropy


def plain_bin(counts: np.ndarray) -> int:
    """The bin of a window's 16 counts, in numpy's float32 but with the definition's logarithms."""
    bits = np.sum(window_terms()[counts[counts > 0]]) * 2
    return min(int(bits * 2), 15)


def plain_joint(data: bytes) -> list[int]:
    windows = [data[i : i + WINDOW] for i in range(0, len(data) - WINDOW + 1, 1024)] or [data]
    joint = np.zeros((16, 16), np.int64)
    for window in windows:
        counts = np.bincount(np.frombuffer(window, np.uint8) >> 4, minlength=16)
        joint[plain_bin(counts)] += counts
    return joint.ravel().tolist()


def check(data: bytes) -> None:
    content = Content(data)
    counts = Counter(data)
    assert content.counts.tolist() == [counts[value] for value in range(256)]
    assert content.entropy == plain_entropy(data)
    assert content.byte_entropy.tolist() == plain_joint(data)


def patchwork(size: int, seed: int) -> bytes:
    """Stretches of one value, of few and of many."""
    source = random.Random(seed)
    data = bytearray()
    while len(data) < size:
        values = source.sample(range(256), source.choice((1, 2, 16, 40, 256)))
        data += bytes(source.choices(values, k=source.choice((3, 700, 5_000))))
    return bytes(data[:size])


@pytest.mark.parametrize(
    "size",
    [1, 2, 3, 4, 5, 1023, 1024, 1025, 2047, 2048, 2049, 3071, 3072, 16_384, 16_385, 65_535, 65_536],
)
def test_sizes_around_windows_and_checkpoints(size: int) -> None:
    check(patchwork(size, size))


@pytest.mark.parametrize("path", [*real_pes(), *real_elfs()], ids=lambda path: path.name)
def test_real_files(path: Path) -> None:
    check(path.read_bytes())


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=1, max_size=200), st.integers(1, 300))
def test_any_bytes(piece: bytes, times: int) -> None:
    check(piece * times)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_windows_of_any_counts(data: st.DataObject) -> None:
    """One window each, of all that its 16 counts can be; powers of two lie on the bins' limits."""
    sizes = st.one_of(st.integers(0, WINDOW), st.integers(0, 11).map(lambda power: 2**power))
    counts = data.draw(st.lists(sizes, min_size=1, max_size=15))
    window = b"".join(bytes([16 * value]) * count for value, count in enumerate(counts))[:WINDOW]
    window = window.ljust(WINDOW, b"\xf0")
    assert Content(window).byte_entropy.tolist() == plain_joint(window)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 120_000), st.data())
def test_entropy_of_ranges(seed: int, size: int, data: st.DataObject) -> None:
    content = patchwork(size, seed)
    edges = st.one_of(st.integers(0, size + 9), st.integers(0, 8).map(lambda n: n * 16_384))
    start, stop = data.draw(edges), data.draw(edges)
    assert Content(content).entropy_of(start, stop) == plain_entropy(content[start:stop])


def test_a_value_that_comes_late_in_a_range() -> None:
    data = b"a" * 100_000 + b"b" + b"a" * 70_000 + b"c"
    content = Content(data)
    assert content.entropy == plain_entropy(data)
    assert content.entropy_of(3, len(data)) == plain_entropy(data[3:])


def test_terms_are_those_of_a_processor_with_avx512() -> None:
    terms = window_terms()
    assert terms.shape == (WINDOW + 1,)
    exact = [-k / WINDOW * math.log2(k / WINDOW) for k in range(1, WINDOW + 1)]
    assert terms[1:].astype(np.float64) == pytest.approx(exact, rel=3e-7)
    (target,) = np.lib.introspect.opt_func_info("^log2$", "float32")["log2"].values()
    # X86_V4 is numpy's name for AVX-512.
    if target["current"] == "X86_V4":
        values = np.arange(1, WINDOW + 1, dtype=np.float32) / WINDOW
        assert np.array_equal(terms[1:], -values * np.log2(values))


def test_columns() -> None:
    content = Content(b"MZ\x90")
    raw = content.general(True)
    assert raw == {
        "size": 3,
        "entropy": math.log2(3),
        "is_pe": 1,
        "start_bytes": [0x4D, 0x5A, 0x90, 0],
    }
    assert general_vector(raw).tolist() == [3, np.float32(math.log2(3)), 1, 0x4D, 0x5A, 0x90, 0]
    assert shares([1, 3]).tolist() == [0.25, 0.75]
    # A float32 has 24 bits: the sum is rounded as the definition's is.
    assert shares([2**24, 1]).tolist() == [1, 2**-24]


def test_an_empty_file_has_no_answer() -> None:
    with pytest.raises(BadInputError, match="empty"):
        Content(b"")


def test_kernels_compile_where_nothing_can_be_kept() -> None:
    """A function without a file has no folder for its machine code."""
    from numba import types

    names: dict[str, object] = {}
    exec("def double(number):\n    return 2 * number", names)
    assert compiled(types.int64(types.int64))(names["double"])(21) == 42


def test_byte_arrays_are_views() -> None:
    assert byte_array(b"").shape == (0,)
    assert byte_array(b"ab").tolist() == [97, 98]
    assert not byte_array(b"ab").flags.owndata
