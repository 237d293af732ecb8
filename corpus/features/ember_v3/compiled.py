"""Python functions that numba makes machine code of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

__all__ = ["BYTES", "byte_array", "compiled", "part"]

Function = TypeVar("Function", bound=Callable[..., Any])

# Read-only, as a view of a bytes object is; numba passes writable arrays for it too.
BYTES = types.Array(types.uint8, 1, "C", readonly=True)


def byte_array(data: bytes | bytearray | memoryview) -> NDArray[np.uint8]:
    """The bytes as uint8 [n], not copied."""
    return np.frombuffer(data, np.uint8) if len(data) else np.zeros(0, np.uint8)


def compiled(signature: types.Type) -> Callable[[Function], Function]:
    """Compile a function for the argument types of `signature`, at import, free of the GIL.

    The machine code is kept beside the module, or else in the user's cache folder. Where neither
    can be written, every process compiles anew.
    """

    def compile_now(function: Function) -> Function:
        try:
            return _compile(function, signature, cache=True)
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
            return _compile(function, signature, cache=False)

    return compile_now


def _compile(function: Function, signature: types.Type, *, cache: bool) -> Function:
    kernel: Function = njit(signature, cache=cache, nogil=True)(function)
    return kernel


def part(function: Function) -> Function:
    """Compile a function as a part of the kernels that call it, which are in the same module.

    In the same one because numba compiles a kernel anew when its own file changes, not when
    another's does.
    """
    compiled_part: Function = njit(nogil=True, forceinline=True)(function)
    return compiled_part
