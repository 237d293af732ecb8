"""How much a source file may unpack to, counted while it is read: declared sizes are not believed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import IO

from corpus.settings import SourceSettings


class BombError(Exception):
    """A source file went beyond a limit; the message says which."""


@dataclass
class Budget:
    """What is left for one source file, over all archives inside it. Sizes are in bytes."""

    max_depth: int
    max_members: int
    max_ratio: float
    max_unpacked_bytes: int
    max_file_bytes: int
    members: int = 0
    unpacked: int = 0

    @classmethod
    def of(cls, settings: SourceSettings) -> Budget:
        return cls(
            settings.max_depth,
            settings.max_members,
            settings.max_ratio,
            settings.max_unpacked_bytes,
            settings.max_file_bytes,
        )

    def count_member(self) -> None:
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
        self.unpacked += size
        budget.unpacked += size
        if self.unpacked > budget.max_ratio * self.packed:
            raise BombError(
                f"unpacks to more than {budget.max_ratio:g} times its {self.packed} bytes"
            )
        if budget.unpacked > budget.max_unpacked_bytes:
            raise BombError(f"unpacks to more than {budget.max_unpacked_bytes} bytes")


class Metered(io.RawIOBase):
    """A stream whose bytes a meter counts as they are read; raises `BombError` out of a read."""

    def __init__(self, stream: IO[bytes], meter: Meter):
        self._stream = stream
        self._meter = meter

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        self._meter.count(len(data))
        buffer[: len(data)] = data
        return len(data)
