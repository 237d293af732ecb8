"""Cuts a sequence of files into shards of about equal work."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from corpus.settings import ShardSettings

# A file costs about as much as this many bytes before its first byte is looked at.
_FILE_BYTES = 64 << 10


def cut(sizes: Sequence[int], settings: ShardSettings) -> list[range]:
    """Ranges of neighbouring files, given their sizes in bytes, that make the shards.

    A shard has at most `max_files` files and, unless one file alone is larger, `max_bytes` bytes.
    If that would make more than `max_shards`, both limits grow alike until it does not. If there are
    `min_files` for each, there are as many shards as keep all `workers` busy to the end.
    """
    scale = max(
        1.0,
        sum(sizes) / (settings.max_bytes * settings.max_shards),
        len(sizes) / (settings.max_files * settings.max_shards),
    )
    while True:
        shards = _fill(sizes, settings.max_bytes * scale, settings.max_files * scale)
        if len(shards) <= settings.max_shards:
            break
        scale *= 1.05
    rounds = -(-len(shards) // settings.workers)
    wanted = min(rounds * settings.workers, len(sizes) // settings.min_files, settings.max_shards)
    if settings.workers > 1 and wanted >= len(shards):
        even = _even(sizes, wanted)
        if all(_fits(sizes, shard, settings, scale) for shard in even):
            return even
    return shards


def _fill(sizes: Sequence[int], max_bytes: float, max_files: float) -> list[range]:
    shards: list[range] = []
    start, filled = 0, 0
    for index, size in enumerate(sizes):
        if index > start and (filled + size > max_bytes or index - start + 1 > max_files):
            shards.append(range(start, index))
            start, filled = index, 0
        filled += size
    if sizes:
        shards.append(range(start, len(sizes)))
    return shards


def _even(sizes: Sequence[int], count: int) -> list[range]:
    """At most `count` ranges of about equal work."""
    done = list(accumulate(size + _FILE_BYTES for size in sizes))
    ends = [0]
    for index, work in enumerate(done):
        if work * count >= done[-1] * len(ends):
            ends.append(index + 1)
    ends[-1] = len(sizes)
    return [range(start, end) for start, end in pairwise(ends)]


def _fits(sizes: Sequence[int], shard: range, settings: ShardSettings, scale: float) -> bool:
    size = sum(sizes[shard.start : shard.stop])
    return len(shard) <= settings.max_files * scale and (
        len(shard) == 1 or size <= settings.max_bytes * scale
    )
