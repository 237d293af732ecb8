"""One child process of the sandbox, as its parent sees it: started, asked, killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from corpus.errors import CorpusError, PassingFault
from corpus.sandbox import wire

_START_S = 120.0
_DETAIL = 1_000
_START = (
    "import json, sys; setup = json.loads(sys.argv[1]); sys.path[:] = setup['path']; "
    "from corpus.sandbox.child import main; main(setup)"
)
# No credential of the parent reaches the child; threads of numeric libraries reserve memory.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
_SINGLE_THREADED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# What C++ and Rust say before they abort for want of memory.
_OUT_OF_MEMORY = ("bad_alloc", "memory allocation of", "out of memory", "Cannot allocate memory")


class TimedOut(Exception):
    """The child did not answer in time; `peak` is its resident memory, in bytes."""

    def __init__(self, peak: int):
        super().__init__("timed out")
        self.peak = peak


class Died(Exception):
    """The child ended instead of answering."""

    def __init__(self, detail: str, *, out_of_memory: bool, peak: int):
        super().__init__(detail)
        self.detail = detail
        self.out_of_memory = out_of_memory
        self.peak = peak


@dataclass(frozen=True)
class Answer:
    """What the child said of one file."""

    status: Literal["ok", "memory", "error"]
    detail: str
    peak: int
    header: dict[str, Any]
    body: memoryview

    def value(self) -> Any:
        return wire.join_value(self.header, self.body) if self.status == "ok" else None


class Process:
    """A child with the function loaded; `served` counts its files."""

    def __init__(self, function: str, factory_arguments: Sequence[Any] | None, memory_bytes: int):
        self.function = function
        self.memory_bytes = memory_bytes
        self.served = 0
        self._ready: dict[str, Any] = {}
        self._channel, theirs = socket.socketpair()
        noise, their_noise = os.pipe()
        # Full pipes drop noise instead of stopping the child; the parent empties it between files.
        os.set_blocking(noise, False)
        os.set_blocking(their_noise, False)
        self._noise = noise
        setup = {
            "path": [os.path.abspath(entry) for entry in sys.path],
            "function": function,
            "factory_arguments": None if factory_arguments is None else list(factory_arguments),
            "memory_bytes": memory_bytes,
            "channel": theirs.fileno(),
            "parent": os.getpid(),
        }
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-B", "-c", _START, json.dumps(setup)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=their_noise,
                pass_fds=[theirs.fileno()],
                env={k: os.environ[k] for k in _KEPT if k in os.environ} | _SINGLE_THREADED,
                cwd="/",
                start_new_session=True,
            )
        except BaseException:
            self._channel.close()
            os.close(noise)
            raise
        finally:
            theirs.close()
            os.close(their_noise)

    def await_ready(self) -> None:
        """Wait until the function is loaded. Raises `CorpusError`, or `PassingFault` if it is slow."""
        try:
            header, _ = self._receive(time.monotonic() + _START_S)
        except TimedOut as error:
            raise PassingFault(
                f"a sandbox child did not start within {_START_S:g} s.",
                hint="The machine is overloaded, or short of memory.",
                function=self.function,
            ) from error
        except Died as error:
            raise CorpusError(
                f"a sandbox child died at its start: {error.detail}.", function=self.function
            ) from error
        if header.get("status") != "ready":
            raise CorpusError(
                f"a sandbox child could not load {self.function}: {header.get('detail')}.",
                function=self.function,
            )
        self._ready = header
        self._drain()

    def ask(self, data: bytes, deadline: float) -> Answer:
        """The child's answer on one file. Raises `TimedOut`, `Died` or `wire.BadAnswer`."""
        self.served += 1
        self._channel.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            if self._channel.recv(1, socket.MSG_PEEK):
                raise wire.BadAnswer("it spoke before it was asked")
        try:
            for part in wire.pack({}, [data]):
                self._channel.settimeout(max(deadline - time.monotonic(), 0.001))
                self._channel.sendall(part)
        except TimeoutError as error:
            raise TimedOut(self._peak()) from error
        except OSError:
            # It is gone, or gave up on the file before it had read all; its answer says which.
            pass
        header, body = self._receive(deadline)
        self._drain()
        status, peak = header.get("status"), header.get("peak")
        if status not in ("ok", "memory", "error") or not isinstance(peak, int):
            raise wire.BadAnswer("it has no status")
        return Answer(
            cast(Literal["ok", "memory", "error"], status),
            printable(str(header.get("detail", ""))),
            peak,
            header,
            memoryview(body),
        )

    def kill(self) -> None:
        """End the child and whatever it has started."""
        # Once reaped, its id may be anybody's.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Reap a child that was killed. Its channel stays usable by nobody."""
        self._process.wait()
        self._channel.close()
        if self._noise >= 0:
            os.close(self._noise)
            self._noise = -1

    def _receive(self, deadline: float) -> tuple[dict[str, Any], bytearray]:
        header_size, size = wire.PREFIX.unpack(self._exactly(wire.PREFIX.size, deadline))
        # No child that keeps to its memory can have more to say.
        if header_size + size > self.memory_bytes:
            raise wire.BadAnswer(f"{header_size + size} bytes are announced")
        header = wire.parse_header(self._exactly(header_size, deadline))
        return header, self._exactly(size, deadline)

    def _exactly(self, size: int, deadline: float) -> bytearray:
        buffer = bytearray(size)
        view = memoryview(buffer)
        while len(view):
            remaining = deadline - time.monotonic()
            try:
                if remaining <= 0:
                    raise TimeoutError
                self._channel.settimeout(remaining)
                count = self._channel.recv_into(view)
            except TimeoutError as error:
                raise TimedOut(self._peak()) from error
            except OSError:
                count = 0
            if not count:
                raise self._death()
            view = view[count:]
        return buffer

    def _death(self) -> Died:
        pid = self._process.pid
        patience = time.monotonic() + 1.0
        # Not reaped yet: while its id is taken, its group can be killed safely.
        while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            if time.monotonic() > patience:
                self.kill()
                self._process.wait()
                return Died("it closed its channel", out_of_memory=False, peak=0)
            time.sleep(0.005)
        self.kill()
        _, status, usage = os.wait4(pid, 0)
        code = self._process.returncode = os.waitstatus_to_exitcode(status)
        noise = self._drain()
        last_words = printable(noise.strip().rsplit("\n", 1)[-1]) if noise.strip() else ""
        # SIGKILL that is not ours is the kernel's, short of memory.
        out_of_memory = code == -signal.SIGKILL or (
            code == -signal.SIGABRT and any(words in noise for words in _OUT_OF_MEMORY)
        )
        what = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        detail = f"{what}: {last_words}" if last_words else what
        # Of its whole life; at exec it inherits that of this process, which says nothing.
        peak = usage.ru_maxrss * 1024
        if peak <= self._ready.get("lifetime_peak", 0):
            peak = self._ready.get("peak", 0)
        return Died(detail, out_of_memory=out_of_memory, peak=peak)

    def _peak(self) -> int:
        with contextlib.suppress(OSError), open(f"/proc/{self._process.pid}/status") as stream:
            for line in stream:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return 0

    def _drain(self) -> str:
        """The last of what native libraries wrote to standard error since it was last asked for."""
        kept = b""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._noise, 65_536):
                kept = (kept + chunk)[-8_192:]
        return kept.decode("utf-8", "replace")


def printable(text: str) -> str:
    """At most 1,000 characters, valid Unicode and without control characters."""
    clean = text[:_DETAIL].encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in clean)
