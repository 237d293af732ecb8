"""How far long work is, said as it goes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any


class Progress:
    """Says on stderr how far long work is: at most one line each `every` seconds."""

    def __init__(self, every: float = 2.0, write: Callable[[str], Any] | None = None):
        self.every = every
        self._write = write or (lambda line: print(line, file=sys.stderr, flush=True))
        self._last = 0.0

    def say(self, text: str) -> None:
        """Write a line."""
        self._write(text)

    def step(self, what: str, done: int, total: int | None = None) -> None:
        """Write how much is done, unless a line was written less than `every` seconds ago."""
        now = time.monotonic()
        if now - self._last >= self.every:
            self._last = now
            self._write(f"{what}: {done}" + (f" of {total}" if total is not None else ""))
