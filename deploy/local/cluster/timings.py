"""How long each part of a start took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Phases:
    """Prints a line a phase with its seconds, and in the end their sum."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @contextmanager
    def phase(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        print(f"  {what:<44} {time.monotonic() - began:6.1f} s", flush=True)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began
