"""Feature extraction in the sandbox, and what it runs there: one call a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from corpus import features
from corpus.sandbox import Sandbox

if TYPE_CHECKING:
    from corpus.settings import FeatureSettings


def sandbox(
    factory: Callable[..., Callable[[bytes], Any]],
    arguments: Sequence[Any],
    settings: FeatureSettings,
) -> Sandbox:
    """A sandbox for the function that `factory`, one of those below, makes of these arguments."""
    return Sandbox(
        f"{factory.__module__}:{factory.__name__}",
        jobs=settings.jobs,
        timeout_s=settings.timeout_s,
        memory_bytes=settings.memory_bytes,
        recycle_after=settings.recycle_after,
        factory_arguments=arguments,
    )


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


def vectorizer(name: str, raw: bool = False) -> Callable[[bytes], dict[str, Any]]:
    """A function of bytes that gives their `sha256`, their `vector` and, if asked for, `raw` JSON.

    Without the raw features a set may take its shorter way. What goes wrong is raised.
    """
    feature_set = features.get(name).load()

    def vectorize(data: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = {"sha256": hashlib.sha256(data).hexdigest()}
        if raw:
            extracted = feature_set.extract(data)
            return {**answer, "vector": extracted.vector, "raw": extracted.raw}
        return {**answer, "vector": feature_set.vector(data)}

    return vectorize


def is_vector(answer: Any, dim: int) -> bool:
    """Whether what was answered for a vector is float32 [dim], all finite: the child has read a
    hostile file.
    """
    return (
        isinstance(answer, np.ndarray)
        and answer.dtype == np.float32
        and answer.shape == (dim,)
        and bool(np.isfinite(answer).all())
    )
