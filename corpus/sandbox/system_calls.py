"""The system calls that a child may make: those of a process that computes on memory it has.

The program that the kernel runs (seccomp) is made by libseccomp, which knows the numbers of all calls on
every processor; Debian has it wherever apt is. Its binding for Python is not on PyPI.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable

ALLOWED = (
    # Its channel, and what else it has open.
    *("read", "readv", "write", "writev", "close", "lseek", "fstat", "poll", "ppoll"),
    # Memory.
    *("brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "membarrier"),
    # Locks, and the threads that are there.
    *("futex", "sched_yield", "sched_getaffinity", "getcpu", "restart_syscall"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack"),
    # Time.
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time"),
    # Who and where it is.
    *("getpid", "gettid", "getppid", "getpgrp", "getsid", "getuid", "geteuid", "getgid", "getegid"),
    *("getresuid", "getresgid", "getgroups", "capget", "getrusage", "getrlimit", "times"),
    *("sysinfo", "uname", "getrandom"),
    # The end.
    *("exit", "exit_group"),
)
# What no library tries, only somebody who wants to get out: it ends the process at once (SIGSYS).
FATAL = (
    *("execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd"),
    *("setns", "unshare", "chroot", "pivot_root", "mount", "umount2", "move_mount", "open_tree"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "swapon", "swapoff", "reboot"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "bpf"),
    *("perf_event_open", "add_key", "request_key", "keyctl", "personality"),
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load"),
)
# What the C library tries first, and does without if the kernel is older.
_UNKNOWN = ("clone3",)

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_KILL_PROCESS = 0x80000000
_BAD_ARCHITECTURE, _ALL_THREADS = 2, 4
_EQUAL = 4
_PR_SET_NAME = 15


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    except OSError:
        return None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
    library.seccomp_rule_add_array.argtypes = [
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint),
        ctypes.POINTER(_Comparison),
    ]
    library.seccomp_load.argtypes = library.seccomp_release.argtypes = [ctypes.c_void_p]
    return library


_seccomp = _library()


def lacking() -> str | None:
    """What is missing for `restrict`: the library, or support in the kernel; None if nothing is."""
    if _seccomp is None:
        return "the library libseccomp (Debian's libseccomp2)"
    # Levels above 1 are of kernels that can end a process, and all its threads at once.
    return "filters of system calls" if _seccomp.seccomp_api_get() < 3 else None


def restrict() -> None:
    """Refuse all threads of this process whatever is not allowed, for good. Raises `OSError`."""
    if _seccomp is None:
        raise OSError(errno.ENOSYS, "there is no libseccomp")
    # A refusal is an error that a library copes with, as it does with a file that may not be read.
    rules = _seccomp.seccomp_init(_ERRNO | errno.EPERM)
    try:
        _check(_seccomp.seccomp_attr_set(rules, _BAD_ARCHITECTURE, _KILL_PROCESS))
        _check(_seccomp.seccomp_attr_set(rules, _ALL_THREADS, 1))
        _add(rules, _ALLOW, ALLOWED)
        _add(rules, _KILL_PROCESS, FATAL)
        _add(rules, _ERRNO | errno.ENOSYS, _UNKNOWN)
        # Signals to itself: how the C library ends a process that has gone wrong.
        _add(rules, _ALLOW, ("kill", "tkill", "tgkill"), _Comparison(0, _EQUAL, os.getpid()))
        _add(rules, _ALLOW, ("prctl",), _Comparison(0, _EQUAL, _PR_SET_NAME))
        # Limits of its own, to read.
        _add(
            rules,
            _ALLOW,
            ("prlimit64",),
            _Comparison(0, _EQUAL, 0),
            _Comparison(2, _EQUAL, 0),
        )
        _check(_seccomp.seccomp_load(rules))
    finally:
        _seccomp.seccomp_release(rules)


def _add(rules: int, action: int, names: Iterable[str], *comparisons: _Comparison) -> None:
    assert _seccomp is not None
    array = (_Comparison * len(comparisons))(*comparisons)
    for name in names:
        number = _seccomp.seccomp_syscall_resolve_name(name.encode())
        # Some processors never had a call, and a library may be older than one: then it is refused.
        if number >= 0:
            _check(_seccomp.seccomp_rule_add_array(rules, action, number, len(array), array))


def _check(result: int) -> None:
    if result:
        raise OSError(-result, f"seccomp: {os.strerror(-result)}")
