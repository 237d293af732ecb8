"""Functions that sandbox tests run in children, chosen by the first bytes of the file."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np


def behave(data: bytes) -> Any:
    """Do what the file says: `sleep`, `signal 11`, `raise`, ..."""
    word, _, rest = data.partition(b" ")
    return _BEHAVIOURS[word.decode()](rest)


def digest(data: bytes) -> dict[str, Any]:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "pid": os.getpid()}


_LOADED_IN = os.getpid()


def family(data: bytes) -> list[int]:
    """Ids of this process, of its parent, and of the process that has loaded this module."""
    return [os.getpid(), os.getppid(), _LOADED_IN]


def threaded(count: int) -> Callable[[bytes], Any]:
    for _ in range(count):
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    return digest


def crowded(free: int) -> Callable[[bytes], Any]:
    """Leave `free` descriptors to this process."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    taken = []
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    for descriptor in taken[:free]:
        os.close(descriptor)
    return digest


def multiplier(factor: int, name: str) -> Callable[[bytes], Any]:
    return lambda data: {name: len(data) * factor}


def _sleep(rest: bytes) -> float:
    time.sleep(float(rest))
    return float(rest)


def _spin(rest: bytes) -> None:
    # Native code that holds the interpreter's lock: no Python-level alarm gets through.
    libc = ctypes.PyDLL(None)
    libc.sleep(int(rest))


def _signal(rest: bytes) -> None:
    os.kill(os.getpid(), int(rest))


def _exit(rest: bytes) -> None:
    os._exit(int(rest))


def _raise(rest: bytes) -> None:
    raise ValueError(rest.decode("utf-8", "surrogateescape"))


def _bomb(rest: bytes) -> int:
    hoard = []
    while True:
        hoard.append(bytearray(int(rest)))


def _hoard(rest: bytes) -> int:
    _HOARD.append(b"x" * int(rest))
    return len(_HOARD)


def _abort(rest: bytes) -> None:
    os.write(2, rest + b"\n")
    os.kill(os.getpid(), signal.SIGABRT)


def _noise(rest: bytes) -> str:
    for descriptor in (1, 2):
        for _ in range(int(rest)):
            try:
                os.write(descriptor, b"noise\n" * 100)
            except BlockingIOError:
                break
    print("noise")
    print("noise", file=sys.stderr)
    ctypes.CDLL(None).puts(b"noise")
    return "quiet"


def _blobs(rest: bytes) -> Any:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    return {"raw": rest, "deep": [{"array": array}, None, "text"], "$blob": 0, "empty": b""}


def _texts(rest: bytes) -> list[str]:
    return ["short", "long \n\ud800\u00e9" * 1_000]


def _fork(rest: bytes) -> None:
    subprocess.Popen(["sleep", rest.decode()])
    time.sleep(60)


def _leave(rest: bytes) -> int:
    """A grandchild, in a session of its own, which its parent does not wait for."""
    reader, writer = os.pipe()
    if not os.fork():
        os.setsid()
        if not os.fork():
            os.write(writer, str(os.getpid()).encode())
            time.sleep(float(rest))
        os._exit(0)
    return int(os.read(reader, 20))


def _execute(rest: bytes) -> None:
    os.execv(rest, [rest])


def _import(rest: bytes) -> str:
    return import_module(rest.decode()).__name__


def _limits(rest: bytes) -> dict[str, Any]:
    return {
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "file_size": resource.getrlimit(resource.RLIMIT_FSIZE),
        "environment": sorted(os.environ),
        "session": os.getsid(0) == os.getpid(),
    }


def _write(rest: bytes) -> None:
    with open(rest, "wb") as stream:
        stream.write(b"x")


def _undying(rest: bytes) -> None:
    # PR_SET_PDEATHSIG: nothing, any more.
    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
    time.sleep(60)


def _descriptors(rest: bytes) -> list[str]:
    """What this process has open beyond standard streams, by kind."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}").split(":")[0])
        except FileNotFoundError:
            continue
    return sorted(found)


def _connect(rest: bytes) -> str:
    socket.create_connection(("127.0.0.1", int(rest)), timeout=5).close()
    return "connected"


def _shout(rest: bytes) -> None:
    while True:
        with contextlib.suppress(BlockingIOError):
            os.write(2, b"noise\n" * 10_000)


def _wide(rest: bytes) -> list[str]:
    return ["wide"] * int(rest)


def _nested(rest: bytes) -> Any:
    value: Any = 1
    for _ in range(int(rest)):
        value = [value]
    return value


def _object(rest: bytes) -> Any:
    return object()


def _babble(rest: bytes) -> None:
    # A child taken over by a hostile file may say anything on the channel.
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, rest)
        except OSError:
            continue
    time.sleep(60)


_HOARD: list[bytes] = []
_BEHAVIOURS: dict[str, Callable[[bytes], Any]] = {
    "sleep": _sleep,
    "spin": _spin,
    "signal": _signal,
    "undying": _undying,
    "exit": _exit,
    "raise": _raise,
    "bomb": _bomb,
    "hoard": _hoard,
    "abort": _abort,
    "noise": _noise,
    "blobs": _blobs,
    "texts": _texts,
    "fork": _fork,
    "leave": _leave,
    "execute": _execute,
    "import": _import,
    "limits": _limits,
    "write": _write,
    "shout": _shout,
    "wide": _wide,
    "nested": _nested,
    "object": _object,
    "connect": _connect,
    "descriptors": _descriptors,
    "babble": _babble,
    "digest": digest,
}
