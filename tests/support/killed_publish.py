"""Publish an update again and again, each time killed one write later; then retry, and report.

Prints a JSON line for an undisturbed publication, then one for each that was killed. Everything
happens in forked children, since a process that has run Delta's threads cannot be forked.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from corpus.contract.requests import PublishRequest, ValidateRequest
from corpus.services.publish.service import publish
from corpus.services.validate.service import validate
from corpus.snapshots.verify import verify
from corpus.store import delta
from corpus.store.object_store import Store
from corpus.store.snapshots import Snapshot
from corpus.store.staging import Update
from tests.support.building import VECTORS, build, context, label_row, stage

# Imported once here, and not in every child.
for name in ("matplotlib.backends.backend_svg", "pyarrow.dataset", "pyarrow.parquet", "corpus.card.html",
             "corpus.changes.stats", "corpus.services.label.policy", "corpus.services.split.assignment"):  # fmt: skip
    import_module(name)


class DyingStore(Store):
    """Kills its own process at the given point; a write has a point before it, a copy two."""

    def __init__(self, root: Path, last: int):
        super().__init__(root)
        self.left = last

    def point(self) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def write_bytes(self, key: str, data: bytes) -> Any:
        self.point()
        return super().write_bytes(key, data)

    def create_bytes(self, key: str, data: bytes) -> bool:
        self.point()
        return super().create_bytes(key, data)

    def copy(self, source: str, target: str) -> None:
        self.point()
        super().copy(source, target)
        if target.startswith("tables/"):
            self.point()

    def delete(self, prefix: str) -> None:
        self.point()
        super().delete(prefix)


def in_child(action: Callable[[], None]) -> int:
    """Run an action in a fork; its exit status, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            action()
            sys.stdout.flush()
            status = 0
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def prepare(root: Path) -> None:
    made = context(root)
    build(made, "one", range(6))
    update = Update.open(made.store, "two")
    stage(update, range(6, 12), shards=2)
    update.write("labels", [label_row(0, "unknown"), *map(label_row, range(6, 12))])
    validate(ValidateRequest(update="two"), made)


def killed(root: Path, point: int) -> None:
    made = context(root)
    publish(PublishRequest(update="two"), replace(made, store=DyingStore(root, point)))


def retried(root: Path, point: int) -> None:
    made = context(root)
    digest = publish(PublishRequest(update="two"), made).content_digest
    tables = {
        table: delta.open_table(made.store, table).to_pyarrow_table(columns=["sha256"]).num_rows
        for table in ("samples", "labels", "groups", "splits", VECTORS)
    }
    latest = Snapshot.open(made.store)
    files = {t: len(entry["files"]) for t, entry in latest.manifest["tables"].items()}
    outcome = {"digest": digest, "delta": tables, "latest": latest.id, "files": files}
    findings = [str(finding) for finding in verify(made.store).findings]
    print(json.dumps({"point": point, "outcome": outcome, "findings": findings}))


def main(folder: Path) -> int:
    prepared = folder / "prepared"
    if in_child(lambda: prepare(prepared)):
        return 1
    for point in range(-1, 1000):
        root = folder / f"killed-{point}"
        shutil.copytree(prepared, root)
        if point >= 0:
            status = in_child(lambda root=root, point=point: killed(root, point))
            if status == 0:
                return 0
            if status != -signal.SIGKILL:
                return 2
        if in_child(lambda root=root, point=point: retried(root, point)):
            return 3
        shutil.rmtree(root)
    return 4


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
