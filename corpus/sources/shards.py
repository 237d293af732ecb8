"""Cuts a sequence of files into shards of about equal work."""

from __future__ import annotations

from collections.abc import Sequence

from corpus.settings import ShardSettings


def cut(sizes: Sequence[int], settings: ShardSettings) -> list[range]:
    """Ranges of neighbouring files, given their sizes in bytes, that make the shards.

    A shard has at most `max_files` files and, unless one file alone is larger, `max_bytes` bytes.
    Where that would make more than `max_shards`, both limits grow alike until it does not.
    """
    scale = max(
        1.0,
        sum(sizes) / (settings.max_bytes * settings.max_shards),
        len(sizes) / (settings.max_files * settings.max_shards),
    )
    while True:
        shards = _fill(sizes, settings.max_bytes * scale, settings.max_files * scale)
        if len(shards) <= settings.max_shards:
            return shards
        scale *= 1.05


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
