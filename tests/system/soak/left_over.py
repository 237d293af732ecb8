"""What work may leave in folders: temporary files, locks that are held, secrets."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection
from pathlib import Path

from tests.system.cluster.secrets import forms


def temporaries(folder: Path) -> list[str]:
    """What is in a folder for temporary files, and what has such a name in any other."""
    return [
        f"temporary: {path}"
        for path in _paths(folder)
        if ".tmp" in path.name or ".new-" in path.name
    ]


def held_locks(folder: Path) -> list[str]:
    """Lock files that somebody holds."""
    found = []
    for path in _paths(folder):
        if path.name.endswith("lock") and path.is_file():
            with path.open("rb") as stream:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    found.append(f"locked: {path}")
    return found


def secrets_in(folder: Path, secrets: Collection[str]) -> list[str]:
    """Files in which a secret stands, in any of its forms."""
    wanted = {form.encode() for secret in secrets for form in forms(secret)}
    found = []
    for path in _paths(folder):
        if path.is_file() and any(form in path.read_bytes() for form in wanted):
            found.append(f"secret in {path}")
    return found


def _paths(folder: Path) -> list[Path]:
    return sorted(
        Path(path, name) for path, folders, files in os.walk(folder) for name in [*folders, *files]
    )
