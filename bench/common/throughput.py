"""Files per second of wall-clock time: through the sandbox, and through plain processes without limits."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from common.wheels import Sample
from corpus.features.sandboxed import vectorizer
from corpus.sandbox import Sandbox

_function = None


def sandboxed(feature_set: str, samples: Sequence[Sample], jobs: int) -> float:
    """Seconds for all samples by `jobs` warm children, with their limits on and recycled as always."""

    def payloads(some: Sequence[Sample]) -> Iterator[tuple[str, bytes]]:
        return ((sample.sha256, sample.path.read_bytes()) for sample in some)

    with Sandbox(
        "corpus.features.sandboxed:vectorizer", jobs=jobs, factory_arguments=[feature_set]
    ) as sandbox:
        _check(outcome.reason for outcome in sandbox.map(payloads(_warm_up(samples, jobs))))
        began = time.perf_counter()
        _check(outcome.reason for outcome in sandbox.map(payloads(samples)))
        return time.perf_counter() - began


def plain(feature_set: str, samples: Sequence[Sample], jobs: int) -> float:
    """Seconds for all samples by `jobs` warm processes that are not limited in anything."""
    with ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), initializer=_load, initargs=(feature_set,)
    ) as pool:
        for _ in pool.map(_vector, [sample.path for sample in _warm_up(samples, jobs)]):
            pass
        began = time.perf_counter()
        for _ in pool.map(_vector, [sample.path for sample in samples]):
            pass
        return time.perf_counter() - began


def _warm_up(samples: Sequence[Sample], jobs: int) -> Sequence[Sample]:
    return samples[: 8 * jobs]


def _check(reasons: Iterator[str | None]) -> None:
    if failures := [reason for reason in reasons if reason]:
        raise SystemExit(f"{len(failures)} files failed in the sandbox: {sorted(set(failures))}.")


def _load(feature_set: str) -> None:
    global _function
    _function = vectorizer(feature_set)


def _vector(path: Path) -> object:
    assert _function is not None
    return _function(path.read_bytes())
