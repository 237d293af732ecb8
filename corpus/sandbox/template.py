"""The template of a sandbox's children, as their parent sees it: started once, asked for children."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from corpus.errors import CorpusError, PassingFaultError
from corpus.sandbox.barriers import ALL, Barriers
from corpus.sandbox.stderr import StderrPipe, last_words

_START_S = 120.0
_START = (
    "import json, sys; setup = json.loads(sys.argv[1]); sys.path[:] = setup['path']; "
    "from corpus.sandbox.child import main; main(setup)"
)
# No credential of the parent gets there; threads of numeric libraries reserve memory.
_KEPT = (
    *("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ"),
    # Where numba keeps machine code that it cannot keep beside its source, and for which processor.
    *("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"),
    *("NUMBA_CACHE_LOCATOR_CLASSES", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"),
)
_SINGLE_THREADED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


# What was said to be lacking: once a process, since every sandbox of it lacks the same.
_said: set[str] = set()


class LostError(Exception):
    """The template has died, and its children with it."""


class Template:
    """An interpreter with the function loaded, which forks children, and reaps those that ended.

    Loading may take a second; forking takes milliseconds, whatever was loaded. Threads may share a
    template. It dies with the thread that made it, and its children die with it. `ready` says that
    the function is loaded, `lost` that the template has died.
    """

    def __init__(
        self,
        function: str,
        factory_arguments: Sequence[Any] | None,
        memory_bytes: int,
        barriers: Barriers = ALL,
    ):
        self.function = function
        self.lost = False
        self.ready = False
        self._lock = threading.Lock()
        self._failure: CorpusError | None = None
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._stderr = StderrPipe()
        setup = {
            "path": [os.path.abspath(entry) for entry in sys.path],
            "function": function,
            "factory_arguments": None if factory_arguments is None else list(factory_arguments),
            "memory_bytes": memory_bytes,
            "barriers": asdict(barriers),
            "control": theirs.fileno(),
            "parent": os.getpid(),
        }
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-B", "-c", _START, json.dumps(setup)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr.theirs,
                pass_fds=[theirs.fileno()],
                env={k: os.environ[k] for k in _KEPT if k in os.environ} | _SINGLE_THREADED,
                cwd="/",
                start_new_session=True,
            )
        except BaseException:
            self._control.close()
            self._stderr.close()
            raise
        finally:
            theirs.close()
            self._stderr.give_away()

    def fork(self, channel: int, stderr: int) -> int:
        """Have a child that serves `channel`, its standard error at `stderr`; returns its id.

        Raises `LostError`; `CorpusError` if the function cannot be loaded; `PassingFaultError` if that
        takes too long, or if there can be no more processes or descriptors.
        """
        with self._lock:
            self._await_ready()
            answer = self._ask(b"fork", [channel, stderr])
        if "failed" in answer:
            raise PassingFaultError(
                f"a sandbox child could not be started: {answer['failed']}.", function=self.function
            )
        return int(answer["pid"])

    def reap(self, pid: int) -> tuple[int, int]:
        """Exit status (of a signal: below 0) and most resident memory, in bytes, of a child.

        One that has not ended is killed. Until then nobody else can get its id. Raises `LostError`.
        """
        with self._lock:
            answer = self._ask(str(pid).encode(), [])
        return int(answer["status"]), int(answer["peak"])

    def kill(self) -> None:
        """End it, and its children with it."""
        self.lost = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """Reap it after it was killed."""
        self._process.wait()
        self._control.close()
        self._stderr.close()

    def _await_ready(self) -> None:
        if self.ready:
            return
        # All who wait are told the same, not the second one of the death that came of it.
        if not self._failure:
            self._failure = self._failure_to_load()
        if self._failure:
            raise self._failure
        self.ready = True

    def _failure_to_load(self) -> CorpusError | None:
        self._control.settimeout(_START_S)
        try:
            answer = self._receive()
        except TimeoutError:
            self.kill()
            return PassingFaultError(
                f"a sandbox child did not start within {_START_S:g} s.",
                hint="The machine is overloaded, or short of memory.",
                function=self.function,
            )
        except LostError:
            # Closed from outside while it was loading: its death says nothing of the function.
            code = self._process.wait()
            what = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            said = last_words(self._stderr.drain())
            return CorpusError(
                f"a sandbox child died at its start: {what}{': ' if said else ''}{said}.",
                function=self.function,
            )
        if "failed" in answer:
            self.kill()
            return CorpusError(
                f"a sandbox child could not load {self.function}: {answer['failed']}.",
                function=self.function,
            )
        _say_once(answer["lacking"])
        return None

    def _ask(self, message: bytes, descriptors: list[int]) -> dict[str, Any]:
        try:
            self._control.settimeout(_START_S)
            socket.send_fds(self._control, [message], descriptors)
            return self._receive()
        except OSError as error:
            # What does not answer any more is as good as dead; a late answer would be misunderstood.
            self.kill()
            raise LostError(str(error)) from error

    def _receive(self) -> dict[str, Any]:
        try:
            message = self._control.recv(65_536)
        except ConnectionError as error:
            message, self.lost = b"", True
            raise LostError(str(error)) from error
        if not message:
            self.lost = True
            raise LostError("it closed its channel")
        answer: dict[str, Any] = json.loads(message)
        return answer


def _say_once(lacking: list[str]) -> None:
    line = (
        f"sandbox: this kernel or container lacks {', '.join(lacking)}; "
        "docs/operate/security.md says what holds without."
    )
    if lacking and line not in _said:
        _said.add(line)
        print(line, file=sys.stderr, flush=True)
