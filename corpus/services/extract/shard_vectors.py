"""Vectors and failures of one shard: those that a previous attempt staged, and those that are new."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.contract.reports import ExtractReport
from corpus.features import FeatureSet
from corpus.features.sandboxed import is_vector
from corpus.sandbox import Outcome, printable
from corpus.store.schemas import FEATURES_PREFIX
from corpus.store.staging import Update

_COLUMNS = ["sha256", "vector", "vector_sha256", "raw"]


class ShardVectors:
    """What one shard gives, until all of it is written.

    `wanted` are its pending samples, each with the sets to have a vector of (`corpus.services.inputs`);
    `kept` are the sha256s, by set, whose vector was staged before. A vector is float32 [set.dim].
    """

    def __init__(
        self,
        sets: dict[str, FeatureSet],
        update: Update,
        shard: str,
        wanted: Mapping[str, Sequence[str]],
    ):
        self._sets = sets
        self._update = update
        self.name = shard
        self._samples = len(wanted)
        self._rows: dict[str, list[tuple[str, np.ndarray, str]]] = {name: [] for name in sets}
        self.failures: list[dict[str, Any]] = []
        self._tables: dict[str, pa.Table] = {}
        self.kept: dict[str, set[str]] = {}
        # Of these sets the part that is there has nothing else in it.
        self._whole: set[str] = set()
        for name in sets:
            there = _sound_rows(update, FEATURES_PREFIX + name, shard)
            mine = [sha256 for sha256, names in wanted.items() if name in names]
            kept = there.filter(pc.is_in(there["sha256"], value_set=pa.array(mine, pa.string())))
            self._tables[name] = kept
            self.kept[name] = set(kept["sha256"].to_pylist())
            if kept.num_rows == there.num_rows:
                self._whole.add(name)

    def vectors(self, name: str) -> int:
        """Return how many vectors of a set there are, including those that were kept."""
        return len(self.kept[name]) + len(self._rows[name])

    def add(self, names: Sequence[str], outcome: Outcome) -> None:
        """Add what a child said of one sample: for each of these sets, a vector or a failure."""
        for name in names:
            if outcome.reason:
                self._fail(name, outcome, outcome.reason, outcome.detail)
                continue
            result = outcome.value.get(name, {}) if isinstance(outcome.value, dict) else {}
            if isinstance(result, dict) and isinstance(result.get("error"), str):
                self._fail(name, outcome, "error", printable(result["error"]))
            elif _sound(result, self._sets[name].dim):
                self._rows[name].append((outcome.key, result["vector"], result["raw"]))
            else:
                self._fail(name, outcome, "crash", "the child's answer is broken")

    def _fail(self, name: str, outcome: Outcome, reason: str, detail: str) -> None:
        self.failures.append(
            {
                "sha256": outcome.key,
                "service": "extract",
                "feature_set": name,
                "reason": reason,
                "detail": detail,
                "elapsed_s": outcome.elapsed_s,
                "peak_memory_bytes": outcome.peak_memory_bytes,
            }
        )

    def report(self) -> ExtractReport:
        """Return the counts of what was added so far."""
        return ExtractReport(
            update=self._update.id,
            shards=[self.name],
            samples=self._samples,
            vectors={name: self.vectors(name) for name in self._sets},
            failures=dict(sorted(Counter(row["reason"] for row in self.failures).items())),
        )

    def write(self) -> None:
        """Stage one part a set of vectors, and of failures: sets may be extracted one by one."""
        for name, feature_set in self._sets.items():
            table = FEATURES_PREFIX + name
            there = self._update.has(table, self.name)
            if self._rows[name] or (there and name not in self._whole):
                new = _vectors(self._rows[name], feature_set.dim)
                rows = pa.concat_tables([self._tables[name], new]).sort_by("sha256")
                # Pages, and so the bytes of the file, may depend on where its chunks begin.
                self._update.write(table, rows.combine_chunks(), self.name)
            failures = [row for row in self.failures if row["feature_set"] == name]
            failures.sort(key=lambda row: str(row["sha256"]))
            part = failures_part(name, self.name)
            if failures or self._update.has("failures", part):
                self._update.write("failures", failures, part)


def failures_part(feature_set: str, shard: str) -> str:
    """Return the name of the part of `failures` that a set has of a shard."""
    return f"extract-{feature_set}-{shard}"


def _sound_rows(update: Update, table: str, shard: str) -> pa.Table:
    """Rows of a staged part whose vectors are as they were written; none if it cannot be read."""
    empty = update.spec(table).schema.empty_table().select(_COLUMNS)
    if not update.has(table, shard):
        return empty
    try:
        rows = update.read(table, _COLUMNS, shard)
    except pa.ArrowException:
        return empty
    digests = [_digest(vector.values.to_numpy()) for vector in rows["vector"]]
    return rows.filter(pc.equal(rows["vector_sha256"], pa.array(digests, pa.string())))


def _sound(result: Any, dim: int) -> bool:
    """Whether a child's answer is what it should be: it has read a hostile file."""
    try:
        result["raw"].encode()
        return is_vector(result["vector"], dim)
    except (AttributeError, KeyError, TypeError, UnicodeEncodeError):
        return False


def _vectors(rows: Sequence[tuple[str, np.ndarray, str]], dim: int) -> pa.Table:
    flat = np.concatenate([vector for _, vector, _ in rows]) if rows else np.empty(0, np.float32)
    digests = [_digest(vector) for _, vector, _ in rows]
    return pa.table(
        {
            "sha256": pa.array([sha256 for sha256, _, _ in rows], pa.string()),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), dim),
            "vector_sha256": pa.array(digests, pa.string()),
            "raw": pa.array([raw for _, _, raw in rows], pa.large_string()),
        }
    )


def _digest(vector: np.ndarray) -> str:
    return hashlib.sha256(vector.astype("<f4").tobytes()).hexdigest()
