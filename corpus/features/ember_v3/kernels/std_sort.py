"""The order in which std::sort of libstdc++ leaves equal keys.

scipy sorts the entries of a row by column with it before it adds those of a column up, so the sum of
three floats or more depends on it. It is not stable from 17 elements on.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["sorted_order"]

# Pieces up to this size are left to the insertion sort that ends it.
_SMALL = 16


def sorted_order(keys: Sequence[int]) -> list[int]:
    """Positions of the keys in ascending order of key, equal ones as std::sort has them.

    Introsort (Musser 1997, Introspective Sorting and Selection Algorithms).
    """
    order = list(range(len(keys)))
    _partition_all(order, keys, 0, len(keys), 2 * (len(keys).bit_length() - 1))
    # Insertion sort is stable, as is Python's own.
    order.sort(key=keys.__getitem__)
    return order


def _partition_all(
    order: list[int], keys: Sequence[int], first: int, last: int, depth: int
) -> None:
    while last - first > _SMALL:
        if depth == 0:
            _heap_sort(order, keys, first, last)
            return
        depth -= 1
        cut = _partition(order, keys, first, last)
        _partition_all(order, keys, cut, last, depth)
        last = cut


def _partition(order: list[int], keys: Sequence[int], first: int, last: int) -> int:
    """Part in two around the median of three, which goes to the front and stays there."""
    candidates = (first + 1, first + (last - first) // 2, last - 1)
    a, b, c = (keys[order[i]] for i in candidates)
    (low, lower), (high, higher) = ((a, 0), (b, 1)) if a < b else ((b, 1), (a, 0))
    chosen = higher if high < c else 2 if low < c else lower
    median = candidates[chosen]
    order[first], order[median] = order[median], order[first]
    pivot = keys[order[first]]
    low, high = first + 1, last
    while True:
        while keys[order[low]] < pivot:
            low += 1
        high -= 1
        while pivot < keys[order[high]]:
            high -= 1
        if low >= high:
            return low
        order[low], order[high] = order[high], order[low]
        low += 1


def _heap_sort(order: list[int], keys: Sequence[int], first: int, last: int) -> None:
    heap = order[first:last]
    for parent in reversed(range(len(heap) // 2)):
        _sift(heap, keys, parent, len(heap), heap[parent])
    for end in reversed(range(1, len(heap))):
        item = heap[end]
        heap[end] = heap[0]
        _sift(heap, keys, 0, end, item)
    order[first:last] = heap


def _sift(heap: list[int], keys: Sequence[int], top: int, size: int, item: int) -> None:
    """Let the hole at `top` sink along the larger children to a leaf, and `item` rise from there."""
    hole = top
    while (child := 2 * hole + 2) <= size:
        if child == size or keys[heap[child]] < keys[heap[child - 1]]:
            child -= 1
        heap[hole] = heap[child]
        hole = child
    while hole > top and keys[heap[(hole - 1) // 2]] < keys[item]:
        heap[hole] = heap[(hole - 1) // 2]
        hole = (hole - 1) // 2
    heap[hole] = item
