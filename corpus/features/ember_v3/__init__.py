"""The feature set `ember-v3`: EMBER2024's, bit for bit.

`raw` reads a file, `vectors` turns what was read into numbers. `pe` has readers of our own
for PE files that are put together sanely, `signature` those of Authenticode, `kernels` the compiled loops; `pefile_compat`
has pefile read all other files. docs/reference/features.md tells the columns, and what is peculiar in the
definition. Nothing here imports anything of the corpus but its errors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpus.features.ember_v3.raw import measure, raw
from corpus.features.ember_v3.vectors import vectorize

__all__ = ["raw", "vector", "vectorize"]

# What numpy and the readers import only with some files.
LOADED_FIRST = ("numpy.ma", "corpus.features.ember_v3.pefile_compat.fallback")


def vector(data: bytes) -> NDArray[np.float32]:
    """The vector of a file, float32 [2568]."""
    return vectorize(measure(data))
