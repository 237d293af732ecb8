"""The list of system calls: its names exist, on each processor that our images are for."""

from __future__ import annotations

import ctypes

import pytest

from corpus.sandbox.system_calls import ALLOWED, FATAL

# As <linux/audit.h> names them.
PROCESSORS = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# Calls that newer processors have in another form, which is on the list as well.
OLDER = {"poll": "ppoll", "time": "clock_gettime", "getpgrp": "getsid"}


@pytest.mark.parametrize("processor", PROCESSORS)
def test_each_name_is_a_call(processor: str) -> None:
    library = ctypes.CDLL("libseccomp.so.2")
    resolve = library.seccomp_syscall_resolve_name_arch
    resolve.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
    unknown = {
        name for name in (*ALLOWED, *FATAL) if resolve(PROCESSORS[processor], name.encode()) < 0
    }
    assert unknown == (set() if processor == "x86_64" else set(OLDER))
    assert set(OLDER.values()) <= set(ALLOWED)


def test_nothing_is_allowed_and_fatal() -> None:
    assert not set(ALLOWED) & set(FATAL)
    assert len({*ALLOWED, *FATAL}) == len(ALLOWED) + len(FATAL)
