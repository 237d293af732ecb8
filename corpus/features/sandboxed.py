"""Feature extraction as the sandbox runs it: all sets of one file in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corpus import features


def extractor(*names: str) -> Callable[[bytes], dict[str, Any]]:
    """A function of bytes that gives, for each set, its `vector` and `raw` JSON, or its `error`.

    An error in one set does not take the other sets' vectors with it.
    """
    sets = [features.get(name).load() for name in names]

    def extract(data: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        for feature_set in sets:
            try:
                extracted = feature_set.extract(data)
            except MemoryError:
                raise
            except Exception as error:
                answer[feature_set.name] = {"error": f"{type(error).__name__}: {error}"}
            else:
                answer[feature_set.name] = {"vector": extracted.vector, "raw": extracted.raw}
        return answer

    return extract
