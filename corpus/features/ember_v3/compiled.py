"""Kernels: functions over bytes and integers, compiled by numba when their module is imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# The bytes of a file, of which numpy makes an array that cannot be written.
BYTES = "Array(u1, 1, 'C', readonly=True)"


def compiled(signature: str) -> Callable[[Kernel], Kernel]:
    """Compile a function for one signature, in numba's notation.

    The machine code is kept beside the module or where NUMBA_CACHE_DIR says. A changed kernel is
    compiled anew, but kernels of other modules that call it are not: delete their caches then.
    """
    return cast(Callable[[Kernel], Kernel], numba.njit(signature, cache=True, nogil=True))
