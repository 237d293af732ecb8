"""Numbers that readers trip over."""

from __future__ import annotations

import random

_EDGES = (0, 1, 2, 3, 4, 7, 8, 15, 16, 0x20, 0x7F, 0x80, 0xFF)
_WIDE_EDGES = (
    0x100, 0x1FF, 0x200, 0xFFF, 0x1000, 0x1FFF, 0x2000, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x100000,
    0x8000000, 0x10000000, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFF000, 0xFFFFFFF0, 0xFFFFFFFF,
)  # fmt: skip


def odd(rng: random.Random, here: int, width: int, size: int) -> int:
    """A number of `width` bytes in the place of `here`, in a file of `size` bytes."""
    value = rng.choice(
        (
            rng.choice(_EDGES),
            rng.choice(_WIDE_EDGES),
            here ^ 1 << rng.randrange(8 * width),
            here + rng.choice((-0x1000, -0x200, -8, -4, -2, -1, 1, 2, 4, 8, 0x200, 0x1000)),
            here * 2,
            size - rng.randrange(64),
            size + rng.randrange(64),
            rng.randrange(size),
            rng.getrandbits(8 * width),
        )
    )
    return value % (1 << 8 * width)


def put_odd(rng: random.Random, data: bytearray, offset: int, width: int) -> None:
    """Put such a number at an offset, if there is anything."""
    if 0 <= offset <= len(data) - width:
        here = int.from_bytes(data[offset : offset + width], "little")
        value = odd(rng, here, width, len(data))
        data[offset : offset + width] = value.to_bytes(width, "little")


def put_odd_in(rng: random.Random, data: bytearray, start: int, length: int) -> None:
    """The same at a place of its own within `length` bytes, mostly where a field may begin."""
    width = rng.choice((1, 2, 4, 4))
    place = start + rng.randrange(max(1, length))
    if rng.random() < 0.8:
        place -= (place - start) % width
    put_odd(rng, data, place, width)
