"""Damage to an ELF file, each kind aimed at one part of it."""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Callable
from typing import TypeAlias

from tests.support.fuzz.values import put_odd, put_odd_in

Mutation: TypeAlias = Callable[[random.Random, bytearray], None]

_SECTION_SIZE, _SEGMENT_SIZE = 64, 56
_DYNAMIC, _STRINGS = 6, 3


def identification(rng: random.Random, data: bytearray) -> None:
    put_odd(rng, data, rng.randrange(4, 16), 1)


def elf_header(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 3))):
        put_odd_in(rng, data, 16, 48)


def segments(rng: random.Random, data: bytearray) -> None:
    (start,) = struct.unpack_from("<Q", data, 32)
    (count,) = struct.unpack_from("<H", data, 56)
    for _ in range(rng.choice((1, 3))):
        put_odd_in(rng, data, start, _SEGMENT_SIZE * max(1, count))


def sections(rng: random.Random, data: bytearray) -> None:
    start, count = _section_table(data)
    for _ in range(rng.choice((1, 3))):
        put_odd_in(rng, data, start, _SECTION_SIZE * max(1, count))


def dynamic(rng: random.Random, data: bytearray) -> None:
    _in_sections(rng, data, _DYNAMIC)


def names(rng: random.Random, data: bytearray) -> None:
    _in_sections(rng, data, _STRINGS)


def symbols(rng: random.Random, data: bytearray) -> None:
    _in_sections(rng, data, rng.choice((2, 4, 5, 11, 0x6FFFFFF6, 0x6FFFFFFE)))


def _section_table(data: bytearray) -> tuple[int, int]:
    (start,) = struct.unpack_from("<Q", data, 40)
    (count,) = struct.unpack_from("<H", data, 60)
    return start, count


def _in_sections(rng: random.Random, data: bytearray, kind: int) -> None:
    start, count = _section_table(data)
    for entry in range(start, min(start + _SECTION_SIZE * count, len(data) - 63), _SECTION_SIZE):
        if struct.unpack_from("<I", data, entry + 4)[0] == kind:
            offset, size = struct.unpack_from("<QQ", data, entry + 24)
            for _ in range(rng.choice((1, 4))):
                put_odd_in(rng, data, offset, size)


MUTATIONS: dict[str, Mutation] = {
    mutation.__name__: mutation
    for mutation in (identification, elf_header, segments, sections, dynamic, names, symbols)
}


def mutate_elf(rng: random.Random, data: bytearray, kind: str) -> None:
    """Damage of one kind; nothing where it finds no ELF file."""
    if data[:4] == b"\x7fELF" and len(data) >= 64:
        # A file that earlier damage left short may lack what this one aims at.
        with contextlib.suppress(struct.error):
            MUTATIONS[kind](rng, data)
