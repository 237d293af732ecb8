"""Files that this process is writing, for an end that does not come back to them."""

from __future__ import annotations

import contextlib
from pathlib import Path

# Threads of one process write side by side; adding and discarding are atomic.
unfinished: set[Path] = set()


def drop_unfinished() -> None:
    """Remove what is half written."""
    for file in tuple(unfinished):
        with contextlib.suppress(OSError):
            file.unlink()
