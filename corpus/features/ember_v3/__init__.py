"""The feature set `ember-v3`: EMBER2024's, bit for bit.

`raw` reads a file, `vectors` turns what was read into numbers. `image` reads PE files that are put
together sanely, by readers of our own; `pefile_path` has pefile read all others. docs/reference/features.md
tells the columns, and what is peculiar in the definition.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpus.features.ember_v3.raw import measure, raw
from corpus.features.ember_v3.vectors import vectorize

__all__ = ["raw", "vector", "vectorize"]


def vector(data: bytes) -> NDArray[np.float32]:
    """The vector of a file, float32 [2568]."""
    return vectorize(measure(data))
