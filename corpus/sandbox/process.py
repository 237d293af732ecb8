"""One child process of the sandbox, as its parent sees it: forked, asked, killed."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any, Literal

from corpus.sandbox import wire
from corpus.sandbox.stderr import StderrPipe, last_words, printable
from corpus.sandbox.template import LostError, Template

# Time for a child that has closed its channel to come to its end.
_END_S = 1.0
# Bytes of an answer for which there is room before they come.
_PIECE = 1 << 20
# What C++ and Rust say before they abort for want of memory.
_OUT_OF_MEMORY = ("bad_alloc", "memory allocation of", "out of memory", "Cannot allocate memory")


class TimedOutError(Exception):
    """The child did not answer in time; `peak` is its resident memory, in bytes."""

    def __init__(self, peak: int):
        super().__init__("timed out")
        self.peak = peak


class DiedError(Exception):
    """The child ended instead of answering."""

    def __init__(self, detail: str, *, out_of_memory: bool = False, peak: int = 0):
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
    """A child with the function loaded; `served` counts its files. Raises what `Template.fork` does.

    Answers of more than `answer_bytes` are not read.
    """

    def __init__(self, template: Template, answer_bytes: int):
        self.template = template
        self.answer_bytes = answer_bytes
        self.served = 0
        self._lock = threading.Lock()
        self._reaped = False
        self._channel, theirs = socket.socketpair()
        self._stderr = StderrPipe()
        try:
            self.pid = template.fork(theirs.fileno(), self._stderr.theirs)
            self._ended = _descriptor(template, self.pid)
        except BaseException:
            self._channel.close()
            self._stderr.close()
            raise
        finally:
            theirs.close()
            self._stderr.give_away()

    def ask(self, data: bytes, deadline: float) -> Answer:
        """The child's answer on one file. Raises `TimedOutError`, `DiedError` or `wire.BadAnswerError`."""
        self.served += 1
        self._channel.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            if self._channel.recv(1, socket.MSG_PEEK):
                raise wire.BadAnswerError("it spoke before it was asked")
        try:
            for part in wire.pack({}, [data]):
                self._channel.settimeout(max(deadline - time.monotonic(), 0.001))
                self._channel.sendall(part)
        except TimeoutError as error:
            raise TimedOutError(self._peak()) from error
        except OSError:
            # It is gone, or gave up on the file before it had read all; its answer says which.
            pass
        header, body = self._receive(deadline)
        self._stderr.drain()
        return Answer(
            header["status"],
            printable(header["detail"]),
            header["peak"],
            header,
            memoryview(body),
        )

    def kill(self) -> None:
        """End the child and whatever it has started."""
        # Once reaped, its id may be anybody's, so that nobody may reap it meanwhile; and without its
        # template, it is not for us to say when that is.
        with self._lock:
            if self._reaped:
                return
            if not self.template.lost:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)
            # It may lead no group of its own yet, or have freed itself from dying with its template.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self._ended, signal.SIGKILL)

    def close(self) -> None:
        """Reap a child that was killed. Its channel stays usable by nobody."""
        with contextlib.suppress(LostError):
            self._reap()
        self._channel.close()
        self._stderr.close()
        if self._ended >= 0:
            os.close(self._ended)
            self._ended = -1

    def _receive(self, deadline: float) -> tuple[dict[str, Any], bytearray]:
        header_size, size = wire.PREFIX.unpack(self._exactly(wire.PREFIX.size, deadline))
        if header_size > wire.HEADER_BYTES or header_size + size > self.answer_bytes:
            raise wire.BadAnswerError(
                f"{header_size} and {size} bytes are announced, "
                f"{wire.HEADER_BYTES} and {self.answer_bytes} are read"
            )
        header = wire.parse_header(self._exactly(header_size, deadline), size)
        return header, self._exactly(size, deadline)

    def _exactly(self, size: int, deadline: float) -> bytearray:
        buffer = bytearray()
        while len(buffer) < size:
            # Room for as much again as has come, since what is announced need not come.
            room = min(max(len(buffer), _PIECE), size - len(buffer))
            start = len(buffer)
            buffer.extend(bytes(room))
            with memoryview(buffer) as view:
                self._fill(view[start:], deadline)
        return buffer

    def _fill(self, view: memoryview, deadline: float) -> None:
        while len(view):
            remaining = deadline - time.monotonic()
            try:
                if remaining <= 0:
                    raise TimeoutError
                self._channel.settimeout(remaining)
                count = self._channel.recv_into(view)
            except TimeoutError as error:
                raise TimedOutError(self._peak()) from error
            except OSError:
                count = 0
            if not count:
                raise self._death()
            view = view[count:]

    def _death(self) -> DiedError:
        if not self._has_ended(_END_S):
            self.kill()
            return DiedError("it closed its channel")
        # Those that it has started are not to outlive it.
        self.kill()
        try:
            code, peak = self._reap()
        except LostError:
            return DiedError("the process it was forked from has died")
        stderr = self._stderr.drain()
        said = last_words(stderr)
        # SIGKILL that is not ours is the kernel's, short of memory.
        out_of_memory = code == -signal.SIGKILL or (
            code == -signal.SIGABRT and any(words in stderr for words in _OUT_OF_MEMORY)
        )
        what = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        detail = f"{what}: {said}" if said else what
        return DiedError(detail, out_of_memory=out_of_memory, peak=peak)

    def _has_ended(self, patience_s: float | None) -> bool:
        poll = select.poll()
        poll.register(self._ended, select.POLLIN)
        return bool(poll.poll(None if patience_s is None else patience_s * 1000))

    def _reap(self) -> tuple[int, int]:
        if self._reaped:
            raise LostError("it was reaped before")
        # Waited for here, and not by the template: others want children of it meanwhile.
        self._has_ended(None)
        with self._lock:
            self._reaped = True
        return self.template.reap(self.pid)

    def _peak(self) -> int:
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/status") as stream:
            for line in stream:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return 0


def _descriptor(template: Template, pid: int) -> int:
    """A descriptor of a child that has just been forked. Raises `LostError`."""
    try:
        # Nobody but the template reaps it, and only when told: the id is its own till then.
        return os.pidfd_open(pid)
    except ProcessLookupError as error:
        raise LostError("it went with the process it was forked from") from error
    except OSError:
        # No descriptor is left: nobody would ever learn of its end.
        with contextlib.suppress(LostError):
            template.reap(pid)
        raise
