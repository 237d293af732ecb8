"""What runs on the other side: a template with the function loaded, and the children forked from it.

The parent starts the template, with a scrubbed environment in a session of its own. It loads the
function, takes upon itself the limits that a process can only set for itself, and then has one child
after the other at the parent's word: a child inherits all of that within milliseconds, and only
children ever see a file. Python-level output is dropped, as is that of native libraries, except what
they write to standard error: the parent keeps its end for the report of a crash.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, BinaryIO

from corpus.sandbox import wire

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_DETAIL = 1_000


def main(setup: dict[str, Any]) -> None:
    """Fork and reap children until the parent closes the control channel."""
    _die_with(setup["parent"])
    # Inherited if the parent ignores it, and then the kernel reaps, and no status is left to ask for.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the life of the process
    control = socket.socket(fileno=setup["control"])
    try:
        function = _load(setup["function"], setup["factory_arguments"])
        _require_one_thread()
        _confine(setup["memory_bytes"])
    except BaseException as error:
        control.send(json.dumps({"failed": _describe(error)}).encode())
        return
    # What is loaded is there for good: a collection in a child would copy all pages it lies in.
    gc.collect()
    gc.freeze()
    control.send(json.dumps({"ready": os.getpid()}).encode())
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 64, 2, socket.MSG_CMSG_CLOEXEC)
        if not message:
            return
        if message == b"fork":
            answer = _fork(control, function, descriptors)
        else:
            answer = _reap(int(message))
        control.send(json.dumps(answer).encode())


def _fork(
    control: socket.socket, function: Callable[[bytes], Any], descriptors: list[int]
) -> dict[str, Any]:
    template = os.getpid()
    try:
        if len(descriptors) < 2:
            # The kernel drops what there is no room for.
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        pid = os.fork()
    except OSError as error:
        return {"failed": _describe(error)}
    else:
        if not pid:
            control.close()
            _be_child(function, template, *descriptors)
        return {"pid": pid}
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _reap(pid: int) -> dict[str, Any]:
    # Nothing to one that has ended, whose id is its own until the next line.
    os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    return {"status": os.waitstatus_to_exitcode(status), "peak": usage.ru_maxrss * 1024}


def _be_child(function: Callable[[bytes], Any], template: int, channel: int, stderr: int) -> None:
    """Serve files until the parent closes the channel; never returns."""
    status = 1
    try:
        os.setsid()
        _die_with(template)
        os.dup2(stderr, 2)
        os.close(stderr)
        _serve(function, channel)
        status = 0
    finally:
        os._exit(status)


def _serve(function: Callable[[bytes], Any], channel: int) -> None:
    requests = os.fdopen(channel, "rb")
    answers = os.fdopen(os.dup(channel), "wb", buffering=0)
    peak = _Peak()
    while prefix := requests.read(wire.PREFIX.size):
        peak.reset()
        header_size, size = wire.PREFIX.unpack(prefix)
        requests.read(header_size)
        status, answer = _answer(function, requests, size, peak)
        _write(answers, answer)
        if status == "memory":
            # The request may not have been read to its end; what follows is no request.
            return


def _answer(
    function: Callable[[bytes], Any], requests: BinaryIO, size: int, peak: _Peak
) -> tuple[str, list[bytes]]:
    try:
        value, described, blobs = wire.split_value(function(requests.read(size)))
        header = {"status": "ok", "value": value, "blobs": described, "peak": peak.read()}
        return "ok", wire.pack(header, blobs)
    except MemoryError as error:
        # What the traceback's frames hold is what memory is full of.
        error.__traceback__ = None
        return _failure("memory", error, peak)
    except Exception as error:
        return _failure("error", error, peak)


def _failure(status: str, error: Exception, peak: _Peak) -> tuple[str, list[bytes]]:
    header = {"status": status, "detail": _describe(error), "peak": peak.read()}
    return status, wire.pack(header, [])


def _load(name: str, factory_arguments: list[Any] | None) -> Callable[[bytes], Any]:
    module, _, attribute = name.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), attribute)
    if factory_arguments is not None:
        made: Callable[[bytes], Any] = function(*factory_arguments)
        return made
    return function


def _require_one_thread() -> None:
    # A lock that another thread holds at the moment of a fork is never released in the child.
    if (threads := len(os.listdir("/proc/self/task"))) > 1:
        raise RuntimeError(
            f"loading it starts {threads - 1} threads, and then no child can be forked"
        )


def _die_with(parent: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died before the line above took effect.
    if os.getppid() != parent:
        os._exit(1)


def _confine(memory_bytes: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # An empty network namespace. Where the kernel forbids it, what keeps the child off the network
    # is the container that the service runs in.
    if libc.unshare(_CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with open("/proc/self/statm") as stream:
        baseline = int(stream.read().split()[0]) * resource.getpagesize()
    limit = baseline + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


class _Peak:
    """The most resident memory since the last reset, in bytes, as the kernel counts it (VmHWM)."""

    def __init__(self) -> None:
        self._status = open("/proc/self/status", "rb", buffering=0)  # noqa: SIM115
        self._reset: int | None = None
        with contextlib.suppress(OSError):
            self._reset = os.open("/proc/self/clear_refs", os.O_WRONLY)

    def reset(self) -> None:
        if self._reset is not None:
            with contextlib.suppress(OSError):
                os.write(self._reset, b"5")

    def read(self) -> int:
        self._status.seek(0)
        for line in self._status.read(8_192).splitlines():
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_DETAIL]


def _write(stream: Any, parts: list[bytes]) -> None:
    for part in parts:
        view = memoryview(part)
        while len(view):
            view = view[stream.write(view) :]
