"""What a person wants to know when a run has ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corpus.errors import NotFoundError
from corpus.store.object_store import Store
from corpus.store.snapshots import Snapshot


def latest_id(root: Path) -> str | None:
    return Snapshot.latest(Store(root)).id


def is_published(root: Path, id: str) -> bool:
    """Whether there is a snapshot of this id below a root."""
    try:
        Snapshot.open(Store(root), id)
    except NotFoundError:
        return False
    return True


def summary(root: Path, command: str, id: str = "latest") -> list[str]:
    """Lines about a snapshot below a root; `command` is how this shell calls `corpus`."""
    snapshot = Snapshot.open(Store(root), id)
    counts: Mapping[str, Any] = snapshot.manifest["counts"]
    lines = [
        f"Snapshot {snapshot.id} (number {snapshot.sequence})",
        f"  samples     {counts['samples']}",
    ]
    for title, name in (
        ("labels", "labels"), ("file types", "file_types"), ("splits", "splits"),
        ("vectors", "vectors"), ("failures", "failures"), ("rejects", "rejects"),
    ):  # fmt: skip
        value = counts.get(name)
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        if name == "rejects" and (unsupported := sum(counts["unsupported"].values())):
            # Files of other types are rejects as well, and counted apart: there may be thousands.
            text = f"{text or 'none'} but {unsupported} unsupported files"
        lines.append(f"  {title:<11} {text or 'none'}")
    lines.append(f"  this update {_flat(snapshot.manifest['changes'])}")
    return [
        *lines,
        f"  digest      {snapshot.manifest['content_digest']}",
        f"  data card   {root / 'snapshots' / snapshot.id / 'card' / 'index.html'}",
        "",
        "Load it in Python:",
        "  import corpus",
        f'  X, y = corpus.open_snapshot("latest", root="{root}").to_numpy("train")',
        "Prove it, list, compare, export:",
        f"  {command} --root {root} verify {snapshot.id}",
    ]


# A row may stand for many files: those of one archive that are of one unsupported type.
_WORDS = {"new_rejects": "new rows of rejects"}


def _flat(counts: Mapping[str, Any]) -> str:
    """Counts that are not zero, as words."""
    parts = []
    for name, value in counts.items():
        word = _WORDS.get(name, name.replace("_", " "))
        if isinstance(value, dict):
            parts += [f"{word} {inner} {count}" for inner, count in value.items() if count]
        elif value:
            parts.append(f"{word} {value}")
    return ", ".join(parts)
