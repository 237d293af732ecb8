"""How long a failure is watched, and how the process is ended that does not get over it by itself."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.common import atomic
from deploy.container.health.errors import HealthError

# Results in a row, and seconds since the first of them, until a process is asked to end; and seconds
# from then until it is killed, where nothing works there that would be lost.
FAILURES = 3
SECONDS = float(os.environ.get("CORPUS_HEALTH_PATIENCE_S", "90"))


class Patience:
    """Counts failures in a file between two runs of the check.

    `idle` says whether nothing that would be lost runs below the process.
    """

    def __init__(self, part: str) -> None:
        self._file = Path(tempfile.gettempdir(), f"corpus-health-{part}.json")

    def forget(self) -> None:
        self._file.unlink(missing_ok=True)

    def fail(
        self, pid: int, idle: Callable[[], bool], children: Callable[[], Sequence[int]]
    ) -> str:
        """Count one more failure of a process; says what was done, for the reason's line."""
        now = time.time()
        known = self._read()
        if known.get("pid") != pid:
            known = {"pid": pid, "since": now, "failures": 0, "asked": 0}
        known["failures"] += 1
        done = self._act(known, now, idle, children)
        self._write(known)
        return done

    def _act(
        self,
        known: dict[str, float],
        now: float,
        idle: Callable[[], bool],
        children: Callable[[], Sequence[int]],
    ) -> str:
        pid, since = int(known["pid"]), now - known["since"]
        if known["failures"] < FAILURES or since < SECONDS:
            return f"failure {known['failures']:.0f} in a row"
        if not known["asked"]:
            # A worker finishes its tasks first; it takes no new ones, but it took none before either.
            os.kill(pid, signal.SIGTERM)
            known["asked"] = now
            return "asked to end, so that it is started again"
        waited = now - known["asked"]
        if waited < SECONDS:
            return f"asked to end {waited:.0f} s ago"
        if not idle():
            return "will end when its tasks have ended"
        if pid == 1:
            return "does not end, and cannot be killed from inside: start it with `init: true`"
        # Found before the parent goes, since they then belong to another.
        _kill_soon([pid, *children()])
        return "killed, because it did not end"

    def _read(self) -> dict[str, float]:
        try:
            known: dict[str, float] = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return known

    def _write(self, known: dict[str, float]) -> None:
        try:
            atomic.write(self._file, json.dumps(known))
        except OSError as error:
            raise HealthError(f"cannot keep count in {self._file}: {error.strerror}") from None


def _kill_soon(victims: Sequence[int]) -> None:
    """In a second, so that the reason is told first: the check goes with the container, which goes with its process."""
    if os.fork():
        return
    for stream in (0, 1, 2):
        os.close(stream)
    time.sleep(1)
    for victim in victims:
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
    os._exit(0)
