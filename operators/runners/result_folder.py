"""The temporary folder that a task's result is written to; one whose task was killed goes with the next task."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

# How the name of such a folder begins.
RESULTS = "corpus-result-"


@contextlib.contextmanager
def result_folder() -> Iterator[Path]:
    """Give a folder of this process; it is removed at the end, and so are those of processes that were killed."""
    _remove_lost()
    folder, lock = _locked()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked() -> tuple[Path, int]:
    """A new folder, and the lock on it, which the kernel lets go of whatever end this process comes to."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=RESULTS))
        # Until it is locked, another task may take it for a lost one.
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.is_dir():
                return folder, lock
            os.close(lock)


def _remove_lost() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{RESULTS}*"):
        # It may be another user's, or may go at this moment.
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)
