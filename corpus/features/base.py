"""A feature set: the definition of a vector, under a name that stands for it for ever."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class FeatureGroup:
    """Columns `start` to `stop` (exclusive) of a vector, which belong together."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class Extracted:
    """Features of one file: the vector, float32 [dim], and the raw features as canonical JSON."""

    vector: np.ndarray
    raw: str


class FeatureSet:
    """Computes vectors of `dim` float32 columns in `groups`; the same bytes always give the same.

    `module` is imported at first use. It has `raw(data) -> dict` and `vectorize(raw) -> array`, and
    may have `vector(data) -> array` if the way through the raw features is slower. `LOADED_FIRST` in it
    names modules that it imports late: in the sandbox, nothing can be imported for a file's sake.
    """

    def __init__(self, name: str, module: str, sizes: Mapping[str, int]):
        self.name = name
        self.module = module
        groups = []
        start = 0
        for group, size in sizes.items():
            groups.append(FeatureGroup(group, start, start + size))
            start += size
        self.groups: tuple[FeatureGroup, ...] = tuple(groups)
        self.dim = start

    def __repr__(self) -> str:
        return f"FeatureSet({self.name!r}, dim={self.dim})"

    @cached_property
    def _implementation(self) -> ModuleType:
        return import_module(self.module)

    def load(self) -> FeatureSet:
        """Import what the set needs, now instead of with the first file."""
        for name in getattr(self._implementation, "LOADED_FIRST", ()):
            import_module(name)
        return self

    def raw(self, data: bytes | bytearray | memoryview) -> dict[str, Any]:
        """The features of a file before they become numbers of a vector; JSON can hold them.

        Raises as `vector`.
        """
        raw: dict[str, Any] = self._implementation.raw(_bytes(data))
        return raw

    def vectorize(self, raw: Mapping[str, Any]) -> np.ndarray:
        """The vector of raw features: float32 [dim], all finite."""
        return self._checked(self._implementation.vectorize(raw))

    def vector(self, data: bytes | bytearray | memoryview) -> np.ndarray:
        """The vector of a file: float32 [dim], all finite.

        Raises `TypeError` for what is not bytes (a path, say), and `BadInputError` for bytes that the
        set's definition has no vector of: none at all, for `ember-v3`.
        """
        data = _bytes(data)
        direct = getattr(self._implementation, "vector", None)
        return self._checked(direct(data)) if direct else self.vectorize(self.raw(data))

    def extract(self, data: bytes | bytearray | memoryview) -> Extracted:
        """Vector and raw features of a file at once."""
        raw = self.raw(data)
        # Not by way of `vector`: that would read the file again.
        vector = self.vectorize(raw)
        text = json.dumps(raw, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return Extracted(vector, text)

    def _checked(self, vector: np.ndarray) -> np.ndarray:
        import numpy as np

        if vector.shape != (self.dim,) or vector.dtype != np.float32:
            raise ValueError(
                f"{self.name} gave {vector.dtype} {vector.shape}, not float32 ({self.dim},)"
            )
        if not np.isfinite(vector).all():
            column = int(np.flatnonzero(~np.isfinite(vector))[0])
            raise ValueError(f"{self.name}: column {column} is not a finite number")
        return vector


def _bytes(data: bytes | bytearray | memoryview) -> bytes:
    """What readers look things up in: they search, slice and hash it."""
    if isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise TypeError(f"a file's content is given as bytes, not as {type(data).__name__}")
