"""A small real corpus for tests: rows staged as the services stage them, validated and published.

Samples are numbers here: `content(7)` are the bytes of sample 7, `sha(7)` its name.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from corpus import features
from corpus.contract.progress import Progress
from corpus.contract.reports import PublishReport
from corpus.contract.requests import PublishRequest, ValidateRequest
from corpus.errors import ConflictError
from corpus.features import FeatureSet
from corpus.services.context import Context
from corpus.services.publish.service import publish
from corpus.services.validate.service import validate
from corpus.settings import Settings
from corpus.store import blobs
from corpus.store.object_store import Store
from corpus.store.staging import Update

TINY = FeatureSet("tiny-v1", "corpus.features.basic_v1", {"left": 2, "right": 4})
VECTORS = f"features-{TINY.name}"
START = datetime(2024, 1, 1, tzinfo=UTC)


def register_tiny() -> None:
    """Make TINY a feature set like those of the product."""
    features._SETS[TINY.name] = TINY


def context(root: str | os.PathLike[str], options: Mapping[str, Any] | None = None) -> Context:
    register_tiny()
    settings = Settings.load(
        {
            "store": {"root": os.fspath(root)},
            "features": {"sets": [TINY.name]},
            "gates": {"min_class_share_warn": 0.0},
            # What a test adds lies beside the corpus.
            "places": {"roots": [] if "://" in os.fspath(root) else [str(Path(root).parent)]},
        },
        file=None,
    )
    quiet = Progress(write=lambda line: None)
    return Context(settings, Store(root, options), quiet, run={"dag_id": "test", "run_id": "r"})


def content(n: int) -> bytes:
    return f"sample {n}\n".encode() * 40


def sha(n: int) -> str:
    return hashlib.sha256(content(n)).hexdigest()


def vector(n: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(n).normal(size=TINY.dim) + shift).astype("<f4")


def sample_row(store: Store, n: int) -> dict[str, Any]:
    record = blobs.put(store, sha(n), content(n))
    return {
        "sha256": sha(n), "md5": hashlib.md5(content(n)).hexdigest(),
        "sha1": hashlib.sha1(content(n)).hexdigest(), "size": len(content(n)),
        "file_type": "elf" if n % 4 == 3 else "pe", "arch": "x86_64", "tlsh": None, "imphash": None,
        "first_seen": START + timedelta(days=n), "source": "folder", "location": f"in/{n}.exe",
        "tags": ["even"] if n % 2 == 0 else [], "blob_sha256": record.blob_sha256,
        "blob_size": record.blob_size,
    }  # fmt: skip


def label_row(n: int, label: str | None = None, family: str | None = None) -> dict[str, Any]:
    return {
        "sha256": sha(n), "label": label or ("malicious", "benign", "unknown")[n % 5 % 3],
        "family": family, "family_confidence": None, "confidence": 1.0, "reason": "manifest",
        "provisional": False, "verdict_ids": [], "resolved_at": START, "policy": "p",
    }  # fmt: skip


def group_row(n: int, group: int | None = None) -> dict[str, Any]:
    return {"sha256": sha(n), "group_id": sha(n if group is None else group), "reason": "new"}


def split_row(n: int, split: str | None = None, group: int | None = None) -> dict[str, Any]:
    return {
        "sha256": sha(n), "split": split or ("train", "train", "validation", "test")[n % 4],
        "group_id": sha(n if group is None else group), "first_seen": START + timedelta(days=n),
        "reason": "time",
    }  # fmt: skip


def vector_row(n: int, shift: float = 0.0) -> dict[str, Any]:
    values = vector(n, shift)
    digest = hashlib.sha256(values.tobytes()).hexdigest()
    return {"sha256": sha(n), "vector": values, "vector_sha256": digest, "raw": f'{{"n": {n}}}'}


def failure_row(n: int) -> dict[str, Any]:
    return {
        "sha256": sha(n), "service": "extract", "feature_set": TINY.name, "reason": "timeout",
        "detail": "took 60 s", "elapsed_s": 60.0, "peak_memory_bytes": 1,
    }  # fmt: skip


def stage(
    update: Update, numbers: Iterable[int], shards: int = 1, failed: Sequence[int] = ()
) -> None:
    """New samples with all that the services make of them; those of `failed` without a vector."""
    numbers = list(numbers)
    for number in range(shards):
        own = numbers[number::shards]
        part = f"shard-{number:04d}"
        update.write("samples", [sample_row(update.store, n) for n in own], part)
        update.write(VECTORS, [vector_row(n) for n in own if n not in failed], part)
        update.write("failures", [failure_row(n) for n in own if n in failed], part)
        seen = [{"location": f"in/{n}.exe", "fingerprint": "1", "source": "folder"} for n in own]
        update.write("seen_files", seen, part)
    update.write("labels", [label_row(n) for n in numbers])
    update.write("groups", [group_row(n) for n in numbers])
    update.write("splits", [split_row(n) for n in numbers])


def release(context: Context, update: Update, **request: Any) -> PublishReport:
    """Validate and publish what is staged."""
    validate(ValidateRequest(update=update.id), context)
    return publish(PublishRequest(update=update.id, **request), context)


def build(
    context: Context,
    update_id: str,
    numbers: Iterable[int],
    shards: int = 1,
    failed: Sequence[int] = (),
) -> PublishReport:
    """Publish one more snapshot, with these new samples."""
    update = Update.open(context.store, update_id, context.run)
    stage(update, numbers, shards, failed)
    return release(context, update)


def build_two(root: str | Path, options: Mapping[str, Any] | None = None) -> Context:
    """A corpus of two snapshots, `one` (samples 0 to 19) and `two` (20 to 29 more).

    In `two`, sample 0 is relabelled, 1 moved, 4 regrouped, 5 re-extracted and 6 of another family;
    extraction of 7 failed.
    """
    made = context(root, options)
    build(made, "one", range(20), shards=3, failed=[7])
    update = Update.open(made.store, "two", made.run)
    stage(update, range(20, 30), shards=2)
    numbers = range(20, 30)
    update.write("labels", [label_row(0, "unknown"), label_row(6, family="zbot"),
                            *map(label_row, numbers)])  # fmt: skip
    update.write("groups", [group_row(4, group=8), *map(group_row, numbers)])
    update.write("splits", [split_row(1, "test"), split_row(4, group=8), *map(split_row, numbers)])
    update.write(VECTORS, [vector_row(5, shift=1.0)])
    release(made, update)
    return made


def attempt(root: str, update_id: str) -> str:
    """Publish an update in a process of its own; the content digest, or "conflict"."""
    try:
        return publish(PublishRequest(update=update_id), context(root)).content_digest
    except ConflictError:
        return "conflict"


def at_once(root: str | Path, update_ids: Sequence[str]) -> list[str]:
    """What `attempt` gives for each, all started at the same moment."""
    processes = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(update_ids), processes) as pool:
        return list(pool.map(attempt, [str(root)] * len(update_ids), update_ids))
