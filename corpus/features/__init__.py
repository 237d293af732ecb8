"""Named, versioned feature sets. docs/reference/features.md defines each one.

A new set is one entry here and one module with `raw` and `vectorize` (and `vector`, if it is
faster without the raw features). A definition never changes under its name: a change is a new
version. Nothing heavy is imported before a set is used.
"""

from __future__ import annotations

from corpus.errors import NotFoundError
from corpus.features.base import Extracted, FeatureGroup, FeatureSet

__all__ = ["Extracted", "FeatureGroup", "FeatureSet", "get", "names"]

_EMBER = {
    "general": 7,
    "histogram": 256,
    "byteentropy": 256,
    "strings": 177,
    "header": 74,
    "section": 224,
    "imports": 1282,
    "exports": 129,
    "datadirectories": 34,
    "richheader": 33,
    "authenticode": 8,
    "pefilewarnings": 88,
}

_SETS: dict[str, FeatureSet] = {
    feature_set.name: feature_set
    for feature_set in (
        FeatureSet(
            "basic-v1",
            "corpus.features.basic_v1",
            {
                "general": 18,
                "histogram": 256,
                "byteentropy": 256,
                "pe_header": 92,
                "elf_header": 58,
                "sections": 214,
                "imports": 640,
            },
        ),
        FeatureSet("ember-v3", "corpus.features.ember_v3", _EMBER),
        FeatureSet("corpus-v1", "corpus.features.corpus_v1", _EMBER),
    )
}


def get(name: str) -> FeatureSet:
    """A feature set by its name. Raises `NotFoundError`."""
    if name not in _SETS:
        raise NotFoundError(
            f"there is no feature set {name!r}.", hint=f"There are: {', '.join(_SETS)}.", name=name
        )
    return _SETS[name]


def names() -> list[str]:
    """Names of all feature sets."""
    return list(_SETS)
