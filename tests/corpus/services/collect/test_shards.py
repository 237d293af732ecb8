from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.services.collect.shards import cut
from corpus.settings import ShardSettings

pytestmark = pytest.mark.fast


def settings(max_bytes: int = 100, max_files: int = 10, max_shards: int = 4) -> ShardSettings:
    return ShardSettings(max_bytes=max_bytes, max_files=max_files, max_shards=max_shards)


def test_nothing_makes_no_shard() -> None:
    assert cut([], settings()) == []


def test_a_shard_ends_at_its_bytes_or_its_files() -> None:
    assert cut([60, 60, 30], settings()) == [range(1), range(1, 3)]
    assert cut([1] * 25, settings()) == [range(10), range(10, 20), range(20, 25)]
    assert cut([500, 1, 500], settings()) == [range(1), range(1, 2), range(2, 3)]


def test_beyond_the_most_shards_all_grow_alike() -> None:
    shards = cut([1] * 4000, settings())
    assert len(shards) == 4
    assert max(map(len, shards)) <= 1.1 * 1000
    shards = cut([50] * 400, settings())
    assert len(shards) <= 4
    assert max(map(len, shards)) <= 1.1 * 100


def test_all_workers_have_work_to_the_end() -> None:
    three = ShardSettings(max_files=100, workers=3, min_files=10)
    assert [len(shard) for shard in cut([1] * 90, three)] == [30, 30, 30]
    assert [len(shard) for shard in cut([1] * 320, three)] == [54, 53, 53, 54, 53, 53]
    # A large file is as much work as many small ones.
    large = 10 << 20
    two = three.model_copy(update={"workers": 2})
    assert cut([large, *[1] * 80], two) == [range(1), range(1, 81)]


def test_no_shard_is_too_small_to_be_worth_a_task() -> None:
    three = ShardSettings(max_files=100, workers=3, min_files=10)
    assert cut([1] * 9, three) == [range(9)]
    assert [len(shard) for shard in cut([1] * 25, three)] == [13, 12]


@given(st.lists(st.integers(0, 1000), max_size=300), st.integers(2, 9), st.integers(1, 50))
def test_shards_for_workers_keep_the_limits(sizes: list[int], workers: int, files: int) -> None:
    chosen = ShardSettings(max_bytes=2000, max_files=files, workers=workers, min_files=3)
    shards = cut(sizes, chosen)
    assert [index for shard in shards for index in shard] == list(range(len(sizes)))
    assert all(shards)
    assert all(len(shard) <= files for shard in shards)
    assert all(len(shard) == 1 or sum(sizes[i] for i in shard) <= 2000 for shard in shards)


@given(
    st.lists(st.integers(0, 1000), max_size=300),
    st.integers(1, 2000),
    st.integers(1, 50),
    st.integers(1, 20),
)
def test_every_file_is_in_one_shard(
    sizes: list[int], max_bytes: int, max_files: int, max_shards: int
) -> None:
    shards = cut(sizes, settings(max_bytes, max_files, max_shards))
    assert [index for shard in shards for index in shard] == list(range(len(sizes)))
    assert len(shards) <= max_shards
    assert all(len(shard) for shard in shards)
    if len(sizes) <= max_files and sum(sizes) <= max_bytes:
        assert len(shards) <= 1
