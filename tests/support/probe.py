"""What a parser that was taken over would try: run as a child's function, one act a file.

A file is the JSON of an act's name and its arguments. An act that comes through returns what it got; one
that is refused raises `OSError`, or the kernel kills its process.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import mmap
import os
import platform
import resource
import signal
import socket
import subprocess
import threading
import time
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_X86 = platform.machine() == "x86_64"
# Numbers of calls that the C library has no function for: on x86_64, and on others.
_NUMBERS = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clone3": (435, 435),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "landlock_create_ruleset": (444, 444),
    "memfd_create": (319, 279),
    "openat2": (437, 437),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "userfaultfd": (323, 282),
}
_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID = 0x20000, 0x10000000, 0x20000000
_PTRACE_ATTACH, _PTRACE_DETACH = 16, 17


def attack(data: bytes) -> Any:
    """Do what the file says."""
    order = json.loads(data)
    act = globals()["act_" + order.pop("act")]
    return act(**order)


def act_nothing() -> str:
    return "nothing"


# Files


def act_read(path: str) -> str:
    with open(path) as stream:
        return stream.read()


def act_list(path: str) -> list[str]:
    return os.listdir(path)


def act_look(path: str) -> int:
    return os.stat(path).st_size


def act_create(path: str) -> str:
    os.close(os.open(path + ".new", os.O_CREAT | os.O_WRONLY))
    return "created"


def act_truncate(path: str) -> str:
    os.truncate(path, 0)
    return "truncated"


def act_rename(path: str) -> str:
    os.rename(path, path + ".renamed")
    return "renamed"


def act_remove(path: str) -> str:
    os.unlink(path)
    return "removed"


def act_link(path: str) -> str:
    os.link(path, path + ".link")
    return "linked"


def act_symlink(path: str) -> str:
    os.symlink(path, path + ".symlink")
    return "linked"


def act_folder(path: str) -> str:
    os.mkdir(path + ".folder")
    return "made"


def act_rights(path: str) -> str:
    os.chmod(path, 0o777)
    return "changed"


def act_times(path: str) -> str:
    os.utime(path, (0, 0))
    return "changed"


def act_pipe(path: str) -> str:
    os.mkfifo(path + ".fifo")
    return "made"


def act_overwrite(path: str) -> str:
    descriptor = os.open(path, os.O_RDWR)
    with mmap.mmap(descriptor, 0) as pages:
        pages[:4] = b"evil"
    return "overwritten"


def act_openat2(path: str) -> str:
    how = (ctypes.c_uint64 * 3)(os.O_RDONLY, 0, 0)
    descriptor = _call("openat2", -100, path.encode(), how, 24)
    return os.read(descriptor, 100).decode()


# Other processes


def act_forks() -> int:
    for number in range(500):
        try:
            pid = os.fork()
        except OSError:
            if number:
                return number
            raise
        if not pid:
            time.sleep(600)
            os._exit(0)
    return 500


def act_grandchild() -> str:
    if not os.fork():
        os.setsid()
        if not os.fork():
            time.sleep(600)
        os._exit(0)
    return "left"


def act_vfork() -> str:
    subprocess.run(["/bin/true"], check=True)
    return "run"


def act_thread() -> str:
    try:
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from error
    return "started"


def act_clone3() -> int:
    arguments = (ctypes.c_uint64 * 11)(0, 0, 0, 0, signal.SIGCHLD)
    pid = _call("clone3", arguments, 88)
    if not pid:
        time.sleep(600)
        os._exit(0)
    return pid


def act_execute() -> str:
    os.execv("/bin/true", ["/bin/true"])
    return "executed"


def act_memory_file() -> str:
    descriptor = _call("memfd_create", b"x", 0)
    os.write(descriptor, b"#!/bin/true\n")
    os.execv(f"/proc/self/fd/{descriptor}", ["x"])
    return "executed"


def act_environment(pid: int) -> str:
    with open(f"/proc/{pid}/environ", "rb") as stream:
        return stream.read().decode()


def act_memory(pid: int) -> str:
    with open(f"/proc/{pid}/mem", "rb") as stream:
        return str(stream)


def act_vm_read(pid: int) -> int:
    local = ctypes.create_string_buffer(8)
    vector = (ctypes.c_uint64 * 2)(ctypes.addressof(local), 8)
    remote = (ctypes.c_uint64 * 2)(id(None), 8)
    return _checked(_libc.process_vm_readv(pid, vector, 1, remote, 1, 0))


def act_trace(pid: int) -> str:
    _checked(_libc.ptrace(_PTRACE_ATTACH, pid, None, None))
    os.waitpid(pid, 0x40000000)
    _libc.ptrace(_PTRACE_DETACH, pid, None, None)
    return "traced"


def act_kill(pid: int) -> str:
    # Nobody is harmed: SIGCONT needs the same right, but for sessions, which differ here.
    os.kill(pid, signal.SIGCONT)
    return "killed"


def act_kill_template() -> str:
    os.kill(os.getppid(), signal.SIGCONT)
    return "killed"


def act_kill_all() -> str:
    os.kill(-1, signal.SIGCONT)
    return "killed"


def act_take_descriptor(pid: int) -> int:
    return _call("pidfd_getfd", _call("pidfd_open", pid, 0), 0, 0)


def act_slow_down(pid: int) -> str:
    os.setpriority(os.PRIO_PROCESS, pid, 19)
    return "slowed"


def act_limit(pid: int) -> str:
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, 64))
    return "limited"


# The network


def act_connect(port: int) -> str:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    return "connected"


def act_unix(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    return "connected"


def act_abstract(name: str) -> str:
    return act_unix("\0" + name)


def act_netlink() -> str:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()
    return "opened"


def act_own_channel(path: str) -> str:
    # A socket that it has, turned to somebody else.
    for descriptor in range(3, 16):
        with contextlib.suppress(OSError):
            channel = socket.socket(fileno=os.dup(descriptor))
            channel.sendto(b"x", path)
            return "sent"
    raise OSError(errno.EPERM, "no socket sends")


def act_network_back(pid: int) -> str:
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    _checked(_libc.setns(descriptor, 0))
    return "back"


def act_network_back_by_process(pid: int) -> str:
    _checked(_libc.setns(_call("pidfd_open", pid, 0), 0x40000000))
    return "back"


# The kernel


def act_root() -> str:
    for identity in (os.getresuid(), os.getresgid()):
        if 0 in identity:
            return "root"
    if 0 in os.getgroups():
        return "root's group"
    raise OSError(errno.EPERM, "not root")


def act_become_root() -> str:
    os.setresuid(0, 0, 0)
    return "root"


def act_capabilities() -> str:
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    held = (ctypes.c_uint32 * 6)()
    _checked(_libc.capget(header, held))
    if any(held):
        return "capable"
    raise OSError(errno.EPERM, "no capability")


def act_user_namespace() -> str:
    _checked(_libc.unshare(_CLONE_NEWUSER))
    return "root of its own"


def act_namespaces() -> str:
    _checked(_libc.unshare(_CLONE_NEWNS | _CLONE_NEWPID))
    return "apart"


def act_mount(path: str) -> str:
    _checked(_libc.mount(b"none", path.encode(), b"tmpfs", 0, None))
    # It would be the machine's.
    _libc.umount2(path.encode(), 0)
    return "mounted"


def act_change_root() -> str:
    os.chroot("/tmp")
    return "changed"


def act_personality() -> int:
    return _checked(_libc.personality(0x0040000))


def act_ring() -> int:
    return _call("io_uring_setup", 4, (ctypes.c_uint8 * 120)())


def act_keys() -> int:
    return _call("add_key", b"user", b"x", b"x", 1, -3)


def act_key_control() -> int:
    return _call("keyctl", 0, -3, 1)


def act_page_faults() -> int:
    # With the flag for faults of user space, which needs no right.
    return _call("userfaultfd", 1)


def act_bpf() -> int:
    return _call("bpf", 0, (ctypes.c_uint8 * 128)(4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 1), 128)


def act_performance() -> int:
    return _call("perf_event_open", (ctypes.c_uint8 * 128)(1, 0, 0, 0, 128), 0, -1, -1, 0)


def act_dumpable() -> str:
    _checked(_libc.prctl(4, 1, 0, 0, 0))
    return "dumpable"


def act_immortal() -> str:
    _checked(_libc.prctl(1, 0, 0, 0, 0))
    return "outlives its parent"


def _call(name: str, *arguments: Any) -> int:
    number = _NUMBERS[name][0 if _X86 else 1]
    return _checked(_libc.syscall(ctypes.c_long(number), *map(_wide, arguments)))


def _wide(argument: Any) -> Any:
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
