"""Corpora for tests of verdicts and labels: samples staged by hand, snapshots published by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from corpus.contract.progress import Progress
from corpus.contract.reports import ImportVerdictsReport, LabelReport
from corpus.contract.requests import ImportVerdictsRequest, LabelRequest
from corpus.services.context import Context
from corpus.services.import_verdicts.service import import_verdicts
from corpus.services.label.policy import Policy
from corpus.services.label.service import label
from corpus.settings import Settings
from corpus.store.object_store import Store
from corpus.store.snapshots import Snapshot
from corpus.store.staging import Update
from tests.support.manifests import write_snapshot

DATA = Path(__file__).parents[1] / "data" / "verdicts"
# Files as feeds bring them: what is wrong in one row of them, and formats of others.
FEEDS = DATA.parent / "feeds"
FIRST_SEEN = datetime(2024, 1, 1, tzinfo=UTC)


def sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


class Corpus:
    """A corpus below a folder, its settings changeable from update to update."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.verdicts = folder / "verdicts"
        self.verdicts.mkdir()
        self.overrides: dict[str, Any] = {}

    @property
    def context(self) -> Context:
        settings = Settings.load(
            {
                "places": {"roots": [str(self.folder), str(DATA), "memory://verdicts-test"]},
                **self.overrides,
                "store": {"root": str(self.folder / "corpus")},
                "verdicts": {
                    "feeds": [{"place": str(self.verdicts), "reporter": "*"}],
                    **self.overrides.get("verdicts", {}),
                },
            }
        )
        return Context(settings, Store(settings.store.root), Progress(write=lambda _: None))

    def manifest(self, name: str, *rows: Mapping[str, Any]) -> Path:
        """A CSV manifest with these rows; `sha256` by a sample's name."""
        columns = ("sha256", "verdict", "reporter", "reported_at", "confidence", "family")
        lines = [",".join(columns)]
        for row in rows:
            cells = {**row, "sha256": sha(row["sha256"])}
            lines.append(",".join(str(cells.get(column, "")) for column in columns))
        path = self.verdicts / name
        path.write_text("\n".join(lines) + "\n")
        return path

    def begin(self, update: str, samples: Sequence[str] = ()) -> Update:
        opened = Update.open(self.context.store, update)
        if samples:
            rows = [{"sha256": sha(name), "first_seen": FIRST_SEEN} for name in samples]
            opened.write("samples", rows)
        return opened

    def import_verdicts(self, update: str, **request: Any) -> ImportVerdictsReport:
        return import_verdicts(ImportVerdictsRequest(update=update, **request), self.context)

    def label(self, update: str, **request: Any) -> LabelReport:
        return label(LabelRequest(update=update, **request), self.context)

    def update(self, update: str, samples: Sequence[str] = ()) -> LabelReport:
        """A whole update: new samples, verdicts, labels, published."""
        self.begin(update, samples)
        self.import_verdicts(update)
        report = self.label(update)
        self.publish(update)
        return report

    def publish(self, update_id: str) -> Snapshot:
        """The manifest and the files of a snapshot, as far as these services read them."""
        context = self.context
        store, update = context.store, Update.open(context.store, update_id)
        tables = {name: update.parent.table(name) for name in update.parent.tables}
        for table in ("samples", "verdicts", "labels", "seen_files", "rejects"):
            for number, key in enumerate(update.parts(table)):
                to = f"data/{table}/{update.id}-{number}.parquet"
                store.copy(key, to)
                rows = store.dataset([to], update.spec(table).schema).count_rows()
                found = store.measure(to)
                entry = {"key": to, "sha256": found.sha256, "rows": rows, "size": found.size}
                tables[table] = {"files": [*tables.get(table, {"files": []})["files"], entry]}
        write_snapshot(update, tables, label_policy=Policy.of(context.settings).record())
        return Snapshot.open(store)

    def labels(self) -> dict[str, dict[str, Any]]:
        """The latest snapshot's labels by sha256."""
        rows = Snapshot.open(self.context.store).scan("labels").to_pylist()
        return {row["sha256"]: row for row in rows}
