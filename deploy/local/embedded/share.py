"""Who uses the Airflow of a work folder: one command starts it, others join in, the last one stops it.

Two files are locked for that, by the kernel, which lets go of them whatever end a command comes to.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from deploy.local.say import say_if_heard


class Share:
    """One command's part in the Airflow whose home is `home`."""

    def __init__(self, home: Path):
        self._home = home
        self._using: int | None = None

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Nobody else starts or stops this Airflow meanwhile; says for whom it waits if somebody does."""
        make_private(self._home)
        lock = self._open("change.lock")
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
                say_if_heard(
                    f"Waiting for process {owner}, which is starting or stopping this Airflow ..."
                )
                fcntl.flock(lock, fcntl.LOCK_EX)
            os.truncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(lock)

    def use(self) -> None:
        """From now on this command uses it, until it leaves or ends."""
        if self._using is None:
            self._using = self._open("use.lock")
            fcntl.flock(self._using, fcntl.LOCK_SH)

    def leave(self) -> None:
        """This command does not use it any more."""
        if self._using is not None:
            os.close(self._using)
            self._using = None

    def used_by_others(self) -> bool:
        """Whether another command uses it. To be asked while `changing`, by one that does not."""
        lock = self._open("use.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def _open(self, name: str) -> int:
        return os.open(self._home / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def make_private(folder: Path) -> None:
    """Make a folder if it is missing, and close it to other users: what lies in it is then for nobody else."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)
