"""Neighbours by TLSH: the same as py-tlsh finds by comparing all with all."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pip
import pyarrow as pa
import pytest
import tlsh
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.errors import BadInputError
from corpus.services.group.tlsh_index import TlshIndex, cells, distances, parse, reachable
from tests.support.mini_corpus import digest


def text(data: bytes | np.ndarray) -> str:
    return f"T1{bytes(data).hex().upper()}"


def swap(value: int) -> int:
    return (value << 4 | value >> 4) & 255


def pairs(new: list[str], base: list[str], limit: int) -> dict[tuple[int, int], int]:
    found = {}
    for batch in TlshIndex(parse(pa.array(base, pa.string())), limit).neighbours(
        parse(pa.array(new, pa.string()))
    ):
        for query, row, distance in zip(*map(np.ndarray.tolist, batch), strict=True):
            assert (query, row) not in found
            found[query, row] = distance
    return found


def brute_force(new: list[str], base: list[str], limit: int) -> dict[tuple[int, int], int]:
    return {
        (i, j): tlsh.diff(a, b)
        for i, a in enumerate(new)
        for j, b in enumerate(base)
        if tlsh.diff(a, b) <= limit
    }


def cloud(seed: int, size: int) -> list[str]:
    """Digests near each other: mutated in few places, header included, wrapping round."""
    random = np.random.default_rng(seed)
    founder = random.integers(0, 256, 35, np.uint8)
    digests = []
    for _ in range(size):
        data = founder.copy()
        data[0] ^= random.integers(0, 2)
        data[1] = swap((swap(int(data[1])) + int(random.integers(-3, 4))) & 255)
        for shift in (0, 4):
            ratio = (int(data[2]) >> shift & 15) + int(random.choice([-3, -1, 0, 0, 0, 0, 1, 2]))
            data[2] = int(data[2]) & ~(15 << shift) & 255 | (ratio & 15) << shift
        for position in random.integers(3, 35, random.integers(0, 14)):
            data[position] ^= 1 << random.integers(0, 8)
        digests.append(text(data))
    return digests


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.binary(min_size=35, max_size=35)] * 2), min_size=1, max_size=20))
def test_distances_are_those_of_py_tlsh(raw: list[tuple[bytes, bytes]]) -> None:
    left, right = ([text(pair[side]) for pair in raw] for side in (0, 1))
    ours = distances(parse(pa.array(left)), parse(pa.array(right))).tolist()
    assert ours == [tlsh.diff(a, b) for a, b in zip(left, right, strict=True)]


def test_each_step_of_the_header_costs_what_py_tlsh_says() -> None:
    zero = bytes(35)
    others = [bytes([0, value, 0, *bytes(32)]) for value in range(256)]
    others += [bytes([0, 0, value, *bytes(32)]) for value in range(256)]
    left, right = [text(zero)] * len(others), [text(other) for other in others]
    ours = distances(parse(pa.array(left)), parse(pa.array(right))).tolist()
    assert ours == [tlsh.diff(a, b) for a, b in zip(left, right, strict=True)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 50))
def test_no_neighbour_is_missed(seed: int, limit: int) -> None:
    digests = cloud(seed, 40) + cloud(seed + 1, 10)
    new, base = digests[::3], digests
    expected = brute_force(new, base, limit)
    assert pairs(new, base, limit) == expected
    assert len(expected) >= len(new)


def test_few_neighbours_among_many_of_one_header_are_found() -> None:
    random = np.random.default_rng(7)
    data = random.integers(0, 256, (300, 35), np.uint8)
    data[:, :3] = data[0, :3]
    data[200:, :] = data[:100, :]
    for row in range(200, 300):
        for position in random.integers(3, 35, random.integers(0, 14)):
            data[row, position] ^= 1 << random.integers(0, 8)
    digests = [text(row) for row in data]
    found = pairs(digests, digests, 30)
    assert found == brute_force(digests, digests, 30)
    # Every digest finds itself, and most of the copies their model.
    assert 300 < len(found) < 600


def test_clouds_have_pairs_at_the_very_limit() -> None:
    # Otherwise the test above would not see an index that is off by one.
    found = {
        tlsh.diff(a, b) for seed in range(10) for a in cloud(seed, 40) for b in cloud(seed, 40)
    }
    assert {29, 30, 31} <= found


@pytest.mark.parametrize(("position", "found"), [(29, True), (30, True), (31, False)])
def test_the_limit_is_part_of_the_neighbourhood(position: int, found: bool) -> None:
    assert tlsh.diff(digest(0), digest(position)) == position
    assert bool(pairs([digest(0)], [digest(position)], 30)) is found


def test_headers_wrap_round() -> None:
    a = text(bytes([0, swap(255), 0xF0, *bytes(32)]))
    b = text(bytes([0, swap(0), 0x0F, *bytes(32)]))
    assert pairs([a], [b], 3) == {(0, 0): tlsh.diff(a, b)} == {(0, 0): 3}


def test_a_dense_cloud_comes_in_several_batches() -> None:
    same = [digest(5)] * 1_500
    index = TlshIndex(parse(pa.array(same)), 30)
    sizes = [len(batch.query) for batch in index.neighbours(parse(pa.array(same)))]
    assert len(sizes) > 1
    assert sum(sizes) == 1_500**2


def test_digests_of_real_executables() -> None:
    files = sorted(Path(pip.__file__).parent.glob("_vendor/distlib/*.exe"))
    digests = [tlsh.hash(path.read_bytes()) for path in [*files, Path(sys.executable)]]
    assert pairs(digests, digests, 30) == brute_force(digests, digests, 30)
    assert len(digests) > 2


def test_parsing_takes_slices_chunks_and_lower_case() -> None:
    digests = [digest(n) for n in range(6)]
    whole = pa.array(digests)
    chunked = pa.chunked_array([whole.slice(1, 2), whole.slice(0, 0), whole.slice(4)])
    picked = [digests[1], digests[2], digests[4], digests[5]]
    lower = pa.array([f"T1{d[2:].lower()}" for d in picked])
    assert distances(parse(chunked), parse(lower)).tolist() == [0, 0, 0, 0]
    assert len(parse(pa.array([], pa.string()))) == 0


@pytest.mark.parametrize(
    "wrong", [None, "", "T1" + "0" * 69, "T2" + "0" * 70, "T1" + "G" * 70, "T1" + "é" * 35]
)
def test_a_malformed_digest_is_bad_input(wrong: str | None) -> None:
    with pytest.raises(BadInputError, match="TLSH digest") as caught:
        parse(pa.array([digest(0), wrong], pa.string()))
    assert caught.value.field == "tlsh"


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 12, 30, 50]))
def test_every_neighbour_is_in_a_reachable_cell(seed: int, limit: int) -> None:
    digests = pa.chunked_array([pa.array([*cloud(seed, 12), *cloud(seed + 1, 3)])])
    parsed = parse(digests)
    assert cells(digests).tolist() == parsed.cell.tolist()
    query = parsed.take(np.array([0]))
    near = reachable(query, limit)[parsed.cell]
    for batch in TlshIndex(parsed, limit).neighbours(query):
        assert near[batch.row].all()
    # Lengths 4 apart cost 48 or more: that far no limit here but the last reaches.
    far = np.abs(parsed.length.astype(int) - int(query.length[0]))
    far = np.minimum(far, 256 - far) > 2 + limit // 24
    assert not near[far].any()
