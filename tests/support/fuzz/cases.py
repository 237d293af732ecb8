"""The files of a fuzz run: number N of a seed is always the same."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.executables import real_elfs, real_pes, small_pe
from tests.support.fuzz.mutations import mutated, recipe
from tests.support.pe.built import BOUND_IMPORT, DEBUG, LOAD_CONFIG, RESOURCE, TLS, built

_DIRECTORIES = (RESOURCE, DEBUG, TLS, LOAD_CONFIG, BOUND_IMPORT)


@dataclass(frozen=True)
class Case:
    """A mutated file, and how it was made."""

    base: str
    recipe: str
    data: bytes


def base_files(more: Sequence[Path]) -> list[Path]:
    """The launchers and libraries of this environment, and files from elsewhere."""
    return [*real_pes(), *real_elfs(), *more]


def case(seed: int, number: int, bases: Sequence[Path]) -> Case:
    """One mutated file; it depends on the seed, its number and the bytes of the files."""
    rng = random.Random(f"{seed}/{number}")
    kind = rng.random()
    if kind < 0.1:
        index = rng.choice(_DIRECTORIES)
        name, base = f"built {index}", built(rng, index)[0]
    elif kind < 0.12:
        name, base = "small_pe", small_pe()
    else:
        # Of two the smaller: there is more to be found in the structure of ten files than in the
        # bytes of one.
        path = min(rng.choices(bases, k=2), key=lambda path: path.stat().st_size)
        name, base = path.name, path.read_bytes()
    how = recipe(rng, base)
    other = rng.choice(bases).read_bytes() if "spliced" in how else b""
    return Case(name, how, mutated(base, how, other))
