"""The feature set `corpus-v1`: ember-v3's columns, with what its definition gets wrong mended.

The readers are ember-v3's. Here is only what differs: `patterns`, `warnings`, `raw` and
`vectors`. docs/reference/features.md has the table of differences.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpus.features.corpus_v1.raw import measure, raw
from corpus.features.corpus_v1.vectors import vectorize
from corpus.features.ember_v3 import LOADED_FIRST

__all__ = ["LOADED_FIRST", "raw", "vector", "vectorize"]


def vector(data: bytes) -> NDArray[np.float32]:
    """The vector of a file, float32 [2568]."""
    return vectorize(measure(data))
