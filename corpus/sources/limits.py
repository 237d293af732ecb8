"""How much a source file may unpack to, counted while it is read: declared sizes are not believed."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from corpus.settings import SourceSettings


class BombError(Exception):
    """A source file went beyond a limit; the message says which."""


@dataclass
class Budget:
    """What is left for one source file, over all archives inside it.

    Sizes are in bytes. Time is the processor's, of this thread, so that a busy machine refuses nothing.
    """

    max_depth: int
    max_members: int
    max_ratio: float
    max_unpacked_bytes: int
    max_file_bytes: int
    max_seconds: float
    members: int = 0
    unpacked: int = 0
    spent_s: float = 0.0
    _since: float = 0.0

    @classmethod
    def of(cls, settings: SourceSettings) -> Budget:
        return cls(
            settings.max_depth,
            settings.max_members,
            settings.max_ratio,
            settings.max_unpacked_bytes,
            settings.max_file_bytes,
            settings.max_seconds,
        )

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Count the time inside."""
        self._since = time.thread_time()
        try:
            yield
        finally:
            self.spent_s += time.thread_time() - self._since

    def check_time(self) -> None:
        if self.spent_s + time.thread_time() - self._since > self.max_seconds:
            raise BombError(f"takes more than {self.max_seconds:g} s to unpack")

    def count_member(self) -> None:
        self.check_time()
        self.members += 1
        if self.members > self.max_members:
            raise BombError(f"more than {self.max_members} members")


class Meter:
    """Counts what one archive of `packed` bytes unpacks to."""

    def __init__(self, budget: Budget, packed: int):
        self.budget = budget
        self.packed = max(packed, 1)
        self.unpacked = 0

    def count(self, size: int) -> None:
        budget = self.budget
        budget.check_time()
        self.unpacked += size
        budget.unpacked += size
        if self.unpacked > budget.max_ratio * self.packed:
            raise BombError(
                f"unpacks to more than {budget.max_ratio:g} times its {self.packed} bytes"
            )
        if budget.unpacked > budget.max_unpacked_bytes:
            raise BombError(f"unpacks to more than {budget.max_unpacked_bytes} bytes")


class Metered(io.RawIOBase):
    """A stream whose bytes are counted as they are read; raises `BombError` out of a read.

    :param count: is given the number of bytes of each read, and raises.
    """

    def __init__(self, stream: IO[bytes], count: Callable[[int], None]):
        self._stream = stream
        self._count = count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        self._count(len(data))
        buffer[: len(data)] = data
        return len(data)
