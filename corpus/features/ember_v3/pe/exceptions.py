"""The functions of a PE file's exception directory: what pefile warns of in them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.features.ember_v3.kernels import directory_kernels
from corpus.features.ember_v3.pe.sections import AddressMap

_Array = NDArray[Any]

_BATCH = 65536  # functions that room is made for at once

_MACHINES = (0x8664, 0x0200)  # AMD64 and IA64; pefile reads no functions of others

_WARNINGS = {
    directory_kernels.UNREADABLE: "Failed to process directory...",
    directory_kernels.SHORT_FUNCTION: "Corrupt header...",
    directory_kernels.UNKNOWN_VERSION: "Unsupported version of UNWIND_INFO...",
    directory_kernels.UNKNOWN_CODE: "Unknown UNWIND_CODE at...",
}


def runtime_functions(address_map: AddressMap, rva: int, size: int, machine: int) -> set[str]:
    """The warnings of `parse_exceptions_directory` on `size` bytes at an RVA, as format_warnings has them.

    Where data are missing a PEFormatError leaves it, and `parse_data_directories` makes of that
    the warning "Failed to process directory...", as is done here; nothing else is ever raised. The
    time and the memory, up to 90 bytes each, are bounded by the functions that there are data for,
    whatever `size` is.
    """
    if machine not in _MACHINES:
        return set()
    count = size // directory_kernels.FUNCTION_SIZE
    begins = np.empty(0, np.uint32)
    unwind = _table(0)
    ended = 0
    while begins.size < count and not ended:
        # As `size` may be anything, room is made for no more than twice as many as there are.
        more = np.empty(min(count - begins.size, max(begins.size, _BATCH)), np.uint32)
        larger = _table(begins.size + more.size)
        directory_kernels.move_unwind(*unwind, *larger)
        unwind = larger
        read, ended, address_map.last = directory_kernels.walk_functions(
            *address_map.arrays,
            address_map.last,
            rva + begins.size * directory_kernels.FUNCTION_SIZE,
            more,
            *unwind,
        )
        begins = np.concatenate((begins, more[:read]))
    warnings = {_WARNINGS[ended]} if ended else set()
    if ended == directory_kernels.UNREADABLE:
        return warnings
    _, states, chains = unwind
    begins.sort()
    once = _known(chains[states == directory_kernels.CHAINED], begins)
    again = _known(chains[states == directory_kernels.CHAINED_AGAIN], begins)
    if not (once.all() and again.all()):
        warnings.add("FunctionEntry of UNWIND_INFO at...")
    # pefile refuses to chain data once more, for another of the functions that share them.
    if again.any():
        warnings.add("Failed parsing FunctionEntry of UNWIND_INFO at...")
    return warnings


def _table(functions: int) -> tuple[_Array, _Array, _Array]:
    """Keys, states and chains of an empty table of unwind data, at most half full afterwards."""
    places = 1 << (2 * functions).bit_length()
    return np.empty(places, np.uint32), np.zeros(places, np.int16), np.empty(places, np.uint32)


def _known(chains: _Array, begins: _Array) -> _Array:
    """Whether a function begins at each of some addresses, given where they begin in order."""
    chains.sort()  # looked up in order, they are found several times as fast
    if begins.size == 0:
        return np.zeros(chains.size, np.bool_)
    known: _Array = begins[np.searchsorted(begins[:-1], chains)] == chains
    return known
