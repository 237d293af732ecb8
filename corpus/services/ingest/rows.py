"""What taking in one shard gave: staged as its parts, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corpus.store.staging import Update

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Counts:
    """What one shard gave; the fields are those of the service's report."""

    samples: int
    known: int
    filtered: int
    rejects: dict[str, int]
    unsupported: dict[str, int]
    bytes: int
    failures: int


@dataclass(frozen=True)
class ShardRows:
    """The rows of one shard, by table; `known` and `filtered` executables have none."""

    samples: Rows
    rejects: Rows
    failures: Rows
    seen_files: Rows
    known: int
    filtered: int

    def stage(self, update: Update, shard: str) -> Counts:
        """Write one part a table, and count."""
        for table in ("samples", "rejects", "failures", "seen_files"):
            update.write(table, getattr(self, table), shard)
        rejects: Counter[str] = Counter()
        unsupported: Counter[str] = Counter()
        for row in self.rejects:
            if row["reason"] == "unsupported":
                unsupported[row["file_type"]] += row["files"]
            else:
                rejects[row["reason"]] += row["files"]
        return Counts(
            samples=len(self.samples),
            known=self.known,
            filtered=self.filtered,
            rejects=dict(sorted(rejects.items())),
            unsupported=dict(sorted(unsupported.items())),
            bytes=sum(row["size"] for row in self.samples),
            failures=len(self.failures),
        )
