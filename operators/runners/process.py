"""The embedded runner: a service as a subprocess of the worker."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import corpus
from operators.runners.command import Call
from operators.task_log import Lines

SUPERVISOR = Path(__file__).with_name("supervisor.py")
_CHUNK = 65_536


class ProcessRunner:
    """Runs `command` (the corpus of this Python) below a supervisor that outlives the task's process."""

    def __init__(
        self,
        command: Sequence[str] = (sys.executable, "-P", "-m", "corpus"),
        *,
        # Airflow sends KILL five seconds after TERM; the service has to be gone by then.
        grace: float = 3.0,
    ) -> None:
        self.command = list(command)
        self.grace = grace
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self, call: Call, *, result: Path, on_line: Callable[[str], object]) -> int:
        if self._stopped:
            return 128 + signal.SIGTERM
        supervisor = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", str(SUPERVISOR), str(self.grace)),
                *(*self.command, "--result", str(result), *call.arguments()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**service_environment(os.environ), **call.environment()},
            # Out of the task's process group, which is killed without warning.
            start_new_session=True,
        )
        self._supervisor = supervisor
        # The signal may have come since.
        if self._stopped:
            self._let_go()
        try:
            assert supervisor.stdout is not None
            for line in lines(supervisor.stdout, lambda: supervisor.poll() is not None):
                on_line(line)
            return supervisor.wait()
        finally:
            self._let_go()
            try:
                supervisor.wait(self.grace + 1)
            except subprocess.TimeoutExpired:
                supervisor.kill()
                supervisor.wait()
            if supervisor.stdout:
                supervisor.stdout.close()
            self._supervisor = None

    def stop(self) -> None:
        self._stopped = True
        self._let_go()

    def _let_go(self) -> None:
        # Just this, since a signal handler may have interrupted a wait for the supervisor.
        if self._supervisor and self._supervisor.stdin:
            self._supervisor.stdin.close()


def service_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The worker's environment without Airflow's secrets, and with the corpus importable.

    A service has no use for the metadata database's address or the connections, and reads hostile
    files.
    """
    own = {
        name: value
        for name, value in environment.items()
        if not name.startswith(("AIRFLOW_", "_AIRFLOW"))
    }
    root = str(Path(corpus.__file__).resolve().parent.parent)
    own["PYTHONPATH"] = os.pathsep.join(filter(None, [root, own.get("PYTHONPATH")]))
    own["PYTHONUNBUFFERED"] = "1"
    return own


def lines(stream: IO[bytes], ended: Callable[[], bool]) -> Iterator[str]:
    """Lines of a pipe as they come, in bounded memory.

    Stops at the end of the stream, or when its writer has `ended` and nothing more comes: a
    descendant that fled its group may hold the pipe open for ever.
    """
    descriptor = stream.fileno()
    cutter = Lines()
    while True:
        if not select.select([descriptor], [], [], 1.0)[0]:
            if ended():
                break
            continue
        chunk = os.read(descriptor, _CHUNK)
        if not chunk:
            break
        yield from cutter.feed(chunk)
    yield from cutter.rest()
