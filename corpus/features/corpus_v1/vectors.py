"""From raw features to the 2,568 columns of corpus-v1: ember-v3's but for a few."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.features.corpus_v1.patterns import TABLE
from corpus.features.ember_v3 import vectors
from corpus.features.ember_v3.kernels.strings import strings_vector
from corpus.features.ember_v3.pe import names

Row = NDArray[np.float32]
Raw = Mapping[str, Any]

# Columns of the group section.
_LOWEST_ENTROPY, _LOWEST_SIZE_RATIO, _LOWEST_VSIZE_RATIO = 6, 8, 10


def strings(raw: Raw) -> Row:
    """float32 [177]: ember-v3's, of patterns of our own."""
    return strings_vector(raw, TABLE)


def section(raw: Raw) -> Row:
    """float32 [224]: ember-v3's, with minima of what there is: sections, and overlay if any."""
    vector = vectors.section(raw)
    if raw:
        parts = [*raw["sections"], *([raw["overlay"]] if raw["overlay"]["size"] else [])]
        for column, key in (
            (_LOWEST_ENTROPY, "entropy"),
            (_LOWEST_SIZE_RATIO, "size_ratio"),
            (_LOWEST_VSIZE_RATIO, "vsize_ratio"),
        ):
            vector[column] = min((part[key] for part in parts if key in part), default=0)
    return vector


def exports(raw: Sequence[str]) -> Row:
    """float32 [129]: number of exports, names."""
    vector = vectors.exports(raw)
    vector[0] = len(raw)
    return vector


def datadirectories(raw: Sequence[Raw]) -> Row:
    """float32 [34]: size and RVA of each directory, also of the last one; relocations."""
    vector = vectors.datadirectories(raw)
    for entry in raw[1:][-1:]:
        column = 2 * names.DIRECTORIES.index(entry["name"])
        vector[column : column + 2] = entry["size"], entry["virtual_address"]
    return vector


GROUPS: dict[str, Callable[[Any], Row]] = {
    **vectors.GROUPS,
    "strings": strings,
    "section": section,
    "exports": exports,
    "datadirectories": datadirectories,
}
"""The function from raw features to columns of each group, in the order of the columns."""


def vectorize(raw: Raw) -> Row:
    """The vector of a file's raw features, float32 [2568]."""
    return vectors.columns(raw, GROUPS)
