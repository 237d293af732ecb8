"""Landlock: the kernel denies a process all files, for good, whoever owns them.

No binding for Python is well kept, and this needs two calls and one struct. Definitions:
https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import struct

# The newest version of the interface (ABI) that is made use of.
NEWEST = 6

# The same on every processor.
_CREATE_RULESET = 444
_RESTRICT_SELF = 446
_VERSION = 1
# Rights to files: how many there are, by the version with which the last one came. From 2 on a file is
# denied to move to another folder (1 never allows it), from 3 on to be truncated, from 5 on devices.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
# To listen and to connect by TCP, since 4.
_TCP_RIGHTS = 0b11
# To abstract UNIX sockets, and signals, of processes outside, since 6.
_SCOPES = 0b11

_libc = ctypes.CDLL(None, use_errno=True)


def version(most: int = NEWEST) -> int:
    """The version of Landlock to use, at most `most`; 0 if the kernel or a container has none."""
    kernels: int = _libc.syscall(_CREATE_RULESET, None, 0, _VERSION)
    return min(max(kernels, 0), most)


def deny_all(version: int) -> None:
    """Deny this thread, and what it starts, all that this version can. Raises `OSError`."""
    files = (1 << _FILE_RIGHTS[min(version, 5)]) - 1
    tcp = _TCP_RIGHTS if version >= 4 else 0
    scopes = _SCOPES if version >= 6 else 0
    # Without a rule, nothing is exempt. An older kernel takes a longer struct if the rest is zero.
    attributes = struct.pack("=QQQ", files, tcp, scopes)
    ruleset = _libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        raise _error()
    try:
        if _libc.syscall(_RESTRICT_SELF, ruleset, 0):
            raise _error()
    finally:
        os.close(ruleset)


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"Landlock: {os.strerror(number)}")
