"""Processes of this machine, as /proc has them."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process that lives: its number, its parent's, and the words that it was started with."""

    pid: int
    parent: int
    words: tuple[str, ...]

    @property
    def line(self) -> str:
        return " ".join(self.words)


def living() -> Iterator[Process]:
    """All processes but this one; those that have ended and were not waited for are left out."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                # The name, in brackets, may hold anything.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # ended while we looked
                continue
            if fields[0] != "Z":
                yield Process(int(entry.name), int(fields[1]), tuple(filter(None, words)))


def environment(pid: int) -> dict[str, str]:
    """What a process was started with; empty if it is gone."""
    try:
        parts = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return {}
    return {name: value for name, _, value in (part.partition("=") for part in parts) if name}


def of_folder(folder: Path, mark: tuple[str, str]) -> list[Process]:
    """What runs of a work folder: by the mark each process inherits, by its words, by where it is."""
    found = []
    for process in living():
        try:
            where = os.readlink(f"/proc/{process.pid}/cwd")
        except OSError:
            where = ""
        marked = environment(process.pid).get(mark[0]) == mark[1]
        if marked or str(folder) in process.line or where.startswith(str(folder)):
            found.append(process)
    return found


class Handle:
    """A process that is held by more than its number, which may be another one's by now."""

    def __init__(self, pid: int):
        """Raises `ProcessLookupError` if there is none."""
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)

    @property
    def has_ended(self) -> bool:
        return bool(select.select([self._descriptor], [], [], 0)[0])

    def kill(self) -> None:
        signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def close(self) -> None:
        os.close(self._descriptor)
