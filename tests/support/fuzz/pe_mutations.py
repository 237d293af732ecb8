"""Damage to a PE file, each kind aimed at one part of it.

A mutation changes the bytes in place. Where the file lacks what it aims at, it leaves them as they are.
"""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Callable
from typing import TypeAlias

from tests.support.fuzz import pe_directory_mutations as directories
from tests.support.fuzz import pe_header_mutations as header
from tests.support.fuzz.layout import PeLayout, pe_layout

Mutation: TypeAlias = Callable[[random.Random, bytearray, PeLayout], None]

MUTATIONS: dict[str, Mutation] = {
    mutation.__name__: mutation for mutation in (*header.MUTATIONS, *directories.MUTATIONS)
} | {name: directories.any_bytes_of(index) for name, index in directories.DIRECTORIES.items()}


def mutate_pe(rng: random.Random, data: bytearray, kind: str) -> None:
    """Damage of one kind; nothing where it finds no PE file."""
    layout = pe_layout(data)
    if layout is not None:
        # A file that earlier damage left short may lack what this one aims at.
        with contextlib.suppress(struct.error):
            MUTATIONS[kind](rng, data, layout)
