"""What runs on the other side: a template with the function loaded, and the children forked from it.

The parent starts the template, with a scrubbed environment in a session of its own. It loads the
function, takes upon itself the limits that a process can only set for itself, and then has one child
after the other at the parent's word: a child inherits all of that within milliseconds, and only
children ever see a file. Python-level output is dropped, as is that of native libraries, except what
they write to standard error: the parent keeps its end for the report of a crash.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import BuiltinImporter, FrozenImporter
from typing import Any, BinaryIO

from corpus.sandbox import confine, landlock, system_calls, wire
from corpus.sandbox.barriers import Barriers

_DETAIL = 1_000
# What Python itself imports when it is first needed; a child cannot import any more.
_OF_PYTHON = (
    *("_strptime", "bisect", "locale", "stringprep", "unicodedata"),
    *(f"encodings.{name}" for name in ("ascii", "cp1252", "cp437", "idna", "latin_1", "punycode")),
    *(f"encodings.{name}" for name in ("utf_16", "utf_16_be", "utf_16_le", "utf_7", "utf_8_sig")),
    *(f"encodings.{name}" for name in ("utf_32", "utf_32_be", "utf_32_le", "unicode_escape")),
)


@dataclass(frozen=True)
class _Work:
    """What children do: the function, the modules that they import first, and what is denied to them."""

    function: Callable[[bytes], Any]
    late: Sequence[str]
    barriers: Barriers


def main(setup: dict[str, Any]) -> None:
    """Fork and reap children until the parent closes the control channel."""
    confine.die_with(setup["parent"])
    # Inherited if the parent ignores it, and then the kernel reaps, and no status is left to ask for.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the life of the process
    control = socket.socket(fileno=setup["control"])
    try:
        work = _load(setup["function"], setup["factory_arguments"], Barriers(**setup["barriers"]))
        _require_one_thread()
        lacking = [*_confine(setup["memory_bytes"]), *_lacking(work.barriers)]
    except BaseException as error:
        control.send(json.dumps({"failed": _describe(error)}).encode())
        return
    # What is loaded is there for good: a collection in a child would copy all pages it lies in.
    gc.collect()
    gc.freeze()
    control.send(json.dumps({"ready": os.getpid(), "lacking": lacking}).encode())
    forked: set[int] = set()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 64, 2, socket.MSG_CMSG_CLOEXEC)
        if not message:
            return
        if message == b"fork":
            answer = _fork(control, work, descriptors)
            forked.update(pid for pid in [answer.get("pid")] if pid)
        else:
            forked.remove(int(message))
            answer = _reap(int(message))
            _end_orphans(forked)
        control.send(json.dumps(answer).encode())


def _fork(control: socket.socket, work: _Work, descriptors: list[int]) -> dict[str, Any]:
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
            _be_child(work, template, *descriptors)
        return {"pid": pid}
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _reap(pid: int) -> dict[str, Any]:
    # Nothing to one that has ended, whose id is its own until the next line.
    os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    return {"status": os.waitstatus_to_exitcode(status), "peak": usage.ru_maxrss * 1024}


def _end_orphans(forked: set[int]) -> None:
    """End what children have started and left behind: whatever else has become a child of this process."""
    while orphans := _children() - forked:
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _children() -> set[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as stream:
            return {int(word) for word in stream.read().split()}
    except OSError:
        # A kernel without such lists: then the limit of processes alone has to hold.
        return set()


def _be_child(work: _Work, template: int, channel: int, stderr: int) -> None:
    """Serve files until the parent closes the channel; never returns."""
    status = 1
    try:
        os.setsid()
        os.dup2(stderr, 2)
        os.close(stderr)
        for name in work.late:
            import_module(name)
        sys.meta_path[:] = [BuiltinImporter, FrozenImporter, _NoImporter]
        requests = os.fdopen(channel, "rb")
        answers = os.fdopen(os.dup(channel), "wb", buffering=0)
        # Files in /proc can be opened only by a process that is not hidden yet.
        confine.hide(False)
        peak = _Peak()
        confine.hide()
        _give_up_rights(work.barriers, template)
        _serve(work.function, requests, answers, peak)
        status = 0
    except Exception as error:
        os.write(2, _describe(error).encode("utf-8", "backslashreplace"))
    finally:
        os._exit(status)


def _give_up_rights(barriers: Barriers, template: int) -> None:
    if os.getuid() == 0 and confine.can_drop_root():
        confine.drop_root()
    confine.drop_capabilities()
    # Not before: the kernel forgets it with a change of user.
    confine.die_with(template)
    confine.forbid_processes()
    if version := landlock.version(barriers.landlock):
        landlock.deny_all(version)
    if barriers.system_calls and not system_calls.lacking():
        system_calls.restrict()


def _serve(
    function: Callable[[bytes], Any], requests: BinaryIO, answers: BinaryIO, peak: _Peak
) -> None:
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


def _load(name: str, factory_arguments: list[Any] | None, barriers: Barriers) -> _Work:
    named, _, attribute = name.partition(":")
    module = import_module(named)
    for other in (*_OF_PYTHON, *getattr(module, "LOADED_FIRST", ())):
        import_module(other)
    function: Callable[..., Any] = getattr(module, attribute)
    if factory_arguments is not None:
        function = function(*factory_arguments)
    return _Work(function, getattr(module, "LOADED_IN_CHILD", ()), barriers)


def _require_one_thread() -> None:
    # A lock that another thread holds at the moment of a fork is never released in the child.
    if (threads := len(os.listdir("/proc/self/task"))) > 1:
        raise RuntimeError(
            f"loading it starts {threads - 1} threads, and then no child can be forked"
        )


def _confine(memory_bytes: int) -> list[str]:
    """Put up the barriers that children inherit; return what this kernel or container lacks."""
    lacking = []
    confine.gain_nothing()
    confine.hide()
    confine.adopt_orphans()
    if not confine.leave_network():
        lacking.append("network namespaces")
    if os.getuid() != 0:
        # Those that came with a user namespace. Here, since each thread has its own.
        confine.drop_capabilities()
    confine.limit(memory_bytes)
    if not confine.can_drop_root():
        lacking.append("the right to drop root")
    return lacking


def _lacking(barriers: Barriers) -> list[str]:
    """What this kernel or container lacks of the barriers that each child puts up for itself."""
    lacking = []
    version = landlock.version(barriers.landlock)
    if not version:
        lacking.append("Landlock")
    elif version < landlock.NEWEST:
        lacking.append(f"all of Landlock after version {version}")
    if missing := system_calls.lacking():
        lacking.append(missing)
    elif not barriers.system_calls:
        lacking.append("filters of system calls")
    return lacking


class _NoImporter:
    """Says why nothing can be imported any more, and what to do about it."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        raise ModuleNotFoundError(
            f"{name} cannot be imported once a file is read. Import it at the top of its module, or "
            "name it in LOADED_FIRST.",
            name=name,
        )


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
