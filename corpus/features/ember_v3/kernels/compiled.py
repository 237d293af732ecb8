"""Python functions that numba makes machine code of."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray


@contextmanager
def _without_scipy() -> Iterator[None]:
    """Keep numba from importing scipy's linear algebra: 15 MB that no kernel here has a use for."""
    if "scipy" in sys.modules:
        yield
        return
    sys.modules["scipy"] = cast(Any, None)
    try:
        yield
    finally:
        del sys.modules["scipy"]


with _without_scipy():
    from numba import njit, types
    from numba.core.typing.templates import Signature
    from numba.extending import intrinsic

__all__ = ["BYTES", "address", "byte_array", "compiled", "part", "types"]

Function = TypeVar("Function", bound=Callable[..., Any])

# Read-only, as a view of a bytes object is; numba passes writable arrays for it too.
BYTES = types.Array(types.uint8, 1, "C", readonly=True)


def byte_array(data: bytes | bytearray | memoryview) -> NDArray[np.uint8]:
    """The bytes as uint8 [n], not copied."""
    return np.frombuffer(data, np.uint8) if len(data) else np.zeros(0, np.uint8)


def compiled(signature: Signature) -> Callable[[Function], Function]:
    """Compile a function for the argument types of `signature`, at import, free of the GIL.

    The machine code is kept beside the module, or else in the user's cache folder. Where neither
    can be written, or what is there not read, every process compiles anew.
    """

    def compile_now(function: Function) -> Function:
        with _without_scipy():
            try:
                return cast(Function, njit(signature, cache=True, nogil=True)(function))
            except Exception:
                # No folder for it, a full disk, a file that a failure of power has cut off. What is
                # wrong with the function itself is raised again.
                return cast(Function, njit(signature, nogil=True)(function))

    return compile_now


def part(function: Function) -> Function:
    """Compile a function as a part of the kernels that call it, which are in the same module.

    In the same one because numba compiles a kernel anew when its own file changes, not when
    another's does. Where it is called often, give it an array by its `address`.
    """
    return cast(Function, njit(nogil=True)(function))


def _address(context: Any, array: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    pointer: Any = types.CPointer
    return pointer(array.dtype)(array), generate


# The address of a C-ordered array's first element, for a `part`, which indexes it as if it were the
# array, of one dimension. A call with an array counts its references, which takes longer than most
# of what is done with one byte.
#
# A change here, or of a constant that a kernel takes from another file (window_terms.WINDOW), has
# no kernel compiled anew: delete the machine code that is kept, or touch the kernel's file.
address: Callable[[NDArray[Any]], NDArray[Any]] = cast(Any, intrinsic(_address))
