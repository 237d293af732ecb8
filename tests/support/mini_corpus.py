"""A corpus of made-up samples for tests of groups and splits: staged, grouped, split, published.

Digests lie on lines: on one line the TLSH distance of two samples is the difference of their
positions, and two lines are far apart. So a test says who is near whom by numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from corpus.contract.progress import Progress
from corpus.contract.reports import GroupReport, SplitReport
from corpus.contract.requests import GroupRequest, SplitRequest
from corpus.services.context import Context
from corpus.services.group.service import group
from corpus.services.publish.head import cuts_of
from corpus.services.split.service import split
from corpus.settings import Settings
from corpus.store.object_store import Store
from corpus.store.snapshots import Snapshot
from corpus.store.staging import Update
from tests.support.manifests import write_snapshot

START = datetime(2024, 1, 1, tzinfo=UTC)
TABLES = ("samples", "verdicts", "groups", "merges", "splits")


def digest(position: int, line: int = 0) -> str:
    """The digest at a position 0..256 of a line 0..15."""
    buckets = [2 if n < position - 128 else 1 if n < position else 0 for n in range(128)]
    body = bytes(
        buckets[n] | buckets[n + 1] << 2 | buckets[n + 2] << 4 | buckets[n + 3] << 6
        for n in range(0, 128, 4)
    )
    # The high digit of the length byte comes second.
    return f"T100{'0'}{line:X}00{body.hex().upper()}"


@dataclass(frozen=True)
class Made:
    """One sample to make: name, digest or None, import hash, day of first-seen after `START`."""

    name: str
    tlsh: str | None = None
    imphash: str | None = None
    day: float | None = 0

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.name.encode()).hexdigest()

    @property
    def group_id(self) -> str:
        return f"g-{self.sha256[:16]}"

    def row(self) -> dict[str, Any]:
        seen = None if self.day is None else START + timedelta(days=self.day)
        return {
            "sha256": self.sha256,
            "tlsh": self.tlsh,
            "imphash": self.imphash,
            "first_seen": seen,
        }


def at(name: str, position: int, *, line: int = 0, **more: Any) -> Made:
    return Made(name, digest(position, line), **more)


class MiniCorpus:
    """Updates of one corpus in a folder."""

    def __init__(self, folder: Path, settings: Mapping[str, Any] | None = None):
        self.context = Context(
            Settings.load(settings), Store(folder), Progress(write=lambda _line: None)
        )
        self.store = self.context.store

    def stage(
        self,
        name: str,
        samples: Sequence[Made],
        verdicts: Iterable[Mapping[str, Any]] = (),
        shards: int = 1,
    ) -> Update:
        update = Update.open(self.store, name)
        for shard in range(shards):
            update.write("samples", [s.row() for s in samples[shard::shards]], f"shard-{shard:04}")
        rows = list(verdicts)
        if rows:
            update.write("verdicts", rows)
        return update

    def group(self, name: str) -> GroupReport:
        return group(GroupRequest(update=name), self.context)

    def split(self, name: str, *, resplit: bool = False) -> SplitReport:
        return split(SplitRequest(update=name, resplit=resplit), self.context)

    def run(
        self, name: str, samples: Sequence[Made], *, resplit: bool = False, **more: Any
    ) -> tuple[GroupReport, SplitReport]:
        """One whole update, published."""
        update = self.stage(name, samples, **more)
        reports = self.group(name), self.split(name, resplit=resplit)
        self.publish(update)
        return reports

    def publish(self, update: Update) -> None:
        tables: dict[str, Any] = {name: update.parent.table(name) for name in update.parent.tables}
        for table in TABLES:
            if not update.parts(table):
                continue
            written = self.store.write_table(
                f"data/{table}/{update.id}.parquet", update.read(table)
            )
            files = tables.get(table, {"files": []})["files"]
            entry = {"key": written.key, "sha256": written.sha256, "size": written.size}
            tables[table] = {"files": [*files, {**entry, "rows": written.rows}]}
        write_snapshot(update, tables, splits=cuts_of(update))

    def table(self, name: str) -> dict[str, dict[str, Any]]:
        """Rows of a table of the latest snapshot by sha256."""
        rows = Snapshot.open(self.store).scan(name).to_pylist()
        return {row["sha256"]: row for row in rows}

    def merges(self) -> list[dict[str, Any]]:
        return Snapshot.open(self.store).scan("merges").to_pylist()

    def splits(self) -> dict[str, str]:
        return {sha256: row["split"] for sha256, row in self.table("splits").items()}

    def group_ids(self) -> dict[str, str]:
        return {sha256: row["group_id"] for sha256, row in self.table("groups").items()}


def staged(update: Update, table: str) -> list[dict[str, Any]]:
    frame = pl.from_arrow(update.read(table))
    assert isinstance(frame, pl.DataFrame)
    return frame.drop("update_id", "sequence").to_dicts()
