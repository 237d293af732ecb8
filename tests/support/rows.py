"""Rows of a corpus for tests: staged as the services stage them, and published as `publish` does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.changes.stats import updated_stats
from corpus.store.object_store import Store
from corpus.store.staging import Update
from tests.support.manifests import write_snapshot

START = datetime(2024, 1, 1, tzinfo=UTC)
TINY = SimpleNamespace(
    name="tiny-v1",
    dim=6,
    groups=(
        SimpleNamespace(name="left", start=0, stop=2),
        SimpleNamespace(name="right", start=2, stop=6),
    ),
)


def sha(n: int | str) -> str:
    return hashlib.sha256(str(n).encode()).hexdigest()


def sample(n: int, *, file_type: str = "pe", size: int = 1000, **more: Any) -> dict[str, Any]:
    return {"sha256": sha(n), "md5": "0" * 32, "size": size, "file_type": file_type,
            "arch": "x86", "source": "s", "location": f"f{n}", "tags": [], "blob_sha256": sha(n),
            "blob_size": size, **more}  # fmt: skip


def label(n: int, label: str = "benign", family: str | None = None) -> dict[str, Any]:
    return {"sha256": sha(n), "label": label, "family": family, "reason": "manifest",
            "provisional": False, "verdict_ids": [], "policy": "p"}  # fmt: skip


def group(n: int, group_id: int | None = None) -> dict[str, Any]:
    return {"sha256": sha(n), "group_id": sha(n if group_id is None else group_id), "reason": "new"}


def split(
    n: int, split: str = "train", group_id: int | None = None, week: int | None = 0
) -> dict[str, Any]:
    return {
        "sha256": sha(n), "split": split, "group_id": sha(n if group_id is None else group_id),
        "first_seen": None if week is None else START + timedelta(weeks=week), "reason": "time",
    }  # fmt: skip


def failure(n: int, reason: str = "timeout") -> dict[str, Any]:
    return {"sha256": sha(n), "service": "extract", "feature_set": TINY.name, "reason": reason}


def vectors(numbers: Iterable[int], shift: float = 0.0) -> list[dict[str, Any]]:
    rows = []
    for n in numbers:
        values = (np.random.default_rng(n).normal(size=TINY.dim) + shift).astype("<f4")
        digest = hashlib.sha256(values.tobytes()).hexdigest()
        rows.append({"sha256": sha(n), "vector": values, "vector_sha256": digest, "raw": "{}"})
    return rows


def stage(update: Update, table: str, rows: list[dict[str, Any]], part: str = "all") -> None:
    update.write(table, rows, part)


def stage_new(
    update: Update, numbers: Iterable[int], part: str = "all", shift: float = 0.0
) -> None:
    """Samples with all that services make of them: every third is malicious."""
    numbers = list(numbers)
    update.write("samples", [sample(n) for n in numbers], part)
    update.write(
        "labels", [label(n, "malicious" if n % 3 == 0 else "benign") for n in numbers], part
    )
    update.write("groups", [group(n) for n in numbers], part)
    update.write("splits", [split(n) for n in numbers], part)
    update.write("features-tiny-v1", vectors(numbers, shift), part)


def release(update: Update, stats: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Publish an update without judging it; returns the manifest."""
    store, parent = update.store, update.parent
    tables = {name: dict(parent.table(name)) for name in parent.tables}
    sets = parent.feature_sets
    kept = dict(stats or updated_stats(update))
    for table in update.tables():
        if table.startswith("features-"):
            sets[table.removeprefix("features-")] = TINY.dim
        rows: pa.Table = update.read(table)
        key = f"data/{table}/{sha(update.id + table)}.parquet"
        written = store.write_table(key, rows)
        entry = {"key": key, "sha256": written.sha256, "size": written.size, "rows": rows.num_rows}
        files = tables.get(table, {"files": []})["files"]
        tables[table] = {"version": update.sequence, "files": [*files, entry]}
    store.write_json(f"snapshots/{update.id}/stats.json", kept)
    return write_snapshot(update, tables, feature_sets=sets, counts=kept["counts"])


def begin(store: Store, name: str) -> Update:
    return Update.open(store, name)
