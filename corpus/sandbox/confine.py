"""What a process of the sandbox gives up before a child reads a file: one function a barrier.

docs/operate/security.md has the table of all barriers, and a test for each of its lines.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct

# An id that owns no file and runs no service: `nobody` and `nogroup`.
NOBODY = 65_534

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_CAPABILITIES_V3 = 0x20080522
_CAP_KILL, _CAP_SETGID, _CAP_SETUID = 5, 6, 7

_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int) -> None:
    """Have the kernel kill this process as soon as its parent is gone, if it is not gone already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before the line above took effect.
    if os.getppid() != parent:
        os._exit(1)


def hide(hidden: bool = True) -> None:
    """Keep other processes of the same user from this one's memory and environment, and from tracing it."""
    _prctl(_PR_SET_DUMPABLE, 0 if hidden else 1)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that they can be ended, too."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def gain_nothing() -> None:
    """Make set-user-ID programs and capabilities of files worthless to this process and its children."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def leave_network() -> bool:
    """Move to an empty network namespace; False if the kernel or a container forbids it."""
    return not _libc.unshare(_CLONE_NEWNET) or not _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def limit(memory_bytes: int) -> None:
    """Allow `memory_bytes` of address space beyond today's, no core dumps and no bytes in files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with open("/proc/self/statm") as stream:
        baseline = int(stream.read().split()[0]) * resource.getpagesize()
    most = baseline + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def can_drop_root() -> bool:
    """Whether this process is not root's, or can change to `NOBODY` and still end such processes."""
    if os.getuid() != 0:
        return True
    needed = sum(1 << bit for bit in (_CAP_KILL, _CAP_SETGID, _CAP_SETUID))
    return _effective_capabilities() & needed == needed and _is_mapped(NOBODY)


def drop_root() -> None:
    """Change from root to `NOBODY`, with no groups. Raises `OSError`."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def drop_capabilities() -> None:
    """Give up all capabilities, those of an own user namespace too. Raises `OSError`."""
    header = struct.pack("=Ii", _CAPABILITIES_V3, 0)
    if _libc.capset(header, bytes(24)):
        raise _error("capset")


def forbid_processes() -> None:
    """Allow no process or thread more. The kernel exempts root, and what may administrate."""
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _effective_capabilities() -> int:
    with open("/proc/self/status") as stream:
        found = next(line for line in stream if line.startswith("CapEff:"))
    return int(found.split()[1], 16)


def _is_mapped(uid: int) -> bool:
    """Whether an id exists in this user namespace."""
    with open("/proc/self/uid_map") as stream:
        ranges = [[int(word) for word in line.split()] for line in stream]
    return any(start <= uid < start + count for start, _, count in ranges)


def _prctl(option: int, value: int) -> None:
    # Every kernel that Python 3.11 runs on has the options that are used here.
    if _libc.prctl(option, value, 0, 0, 0):
        raise _error("prctl")


def _error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")
