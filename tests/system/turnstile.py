"""The machine's one Docker engine, shared by the tests that run side by side."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Below the work folder: two runs of the suite in one checkout take turns as well.
FOLDER = Path(__file__).resolve().parents[2] / ".work" / "turnstile"


@contextmanager
def shared(folder: Path = FOLDER) -> Iterator[None]:
    """For a test that needs the engine: others may use it meanwhile, and nobody restarts it."""
    with _locked(folder / "room", fcntl.LOCK_SH, door=folder / "door"):
        yield


@contextmanager
def alone(folder: Path = FOLDER) -> Iterator[None]:
    """For a test that stops the engine: waits until no other test runs, and keeps them waiting."""
    with _locked(folder / "room", fcntl.LOCK_EX, door=folder / "door"):
        yield


@contextmanager
def _locked(room: Path, how: int, *, door: Path) -> Iterator[None]:
    room.parent.mkdir(parents=True, exist_ok=True)
    with room.open("w") as inner:
        # Who waits for the room holds the door, so that those who come later do not overtake for ever.
        with door.open("w") as outer:
            fcntl.flock(outer, fcntl.LOCK_EX)
            fcntl.flock(inner, how)
        yield
