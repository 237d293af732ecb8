"""A small input of real executables: the launchers that ship inside pip and setuptools."""

from __future__ import annotations

import csv
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.local import demo

FIELDS = ["sha256", "verdict", "reporter", "reported_at", "confidence", "family", "first_seen"]
_FIRST_WEEK = datetime(2025, 1, 6, tzinfo=UTC)


def samples(folder: Path) -> list[Path]:
    """Copy the launchers into a folder; some have the same content under two names."""
    folder.mkdir(parents=True)
    demo.launchers(folder)
    return sorted(folder.iterdir())


def verdicts(paths: list[Path], file: Path) -> None:
    """Made-up verdicts: pip's play the malware; each file was first seen a week after the one before.

    Those for ARM come last: they are no near-duplicates of the others, and so fill the later splits.
    """
    rows = {}
    for week, path in enumerate(sorted(paths, key=lambda path: ("arm" in path.name, path.name))):
        seen = (_FIRST_WEEK + timedelta(weeks=week)).isoformat()
        malicious = path.name.startswith("pip")
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        rows[sha256] = {
            "sha256": sha256, "verdict": "malicious" if malicious else "benign", "reporter": "analyst",
            "reported_at": seen, "confidence": "0.9", "family": "demo.launcher" if malicious else "",
            "first_seen": seen,
        }  # fmt: skip
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())
