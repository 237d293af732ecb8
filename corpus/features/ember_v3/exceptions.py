"""The functions of a PE file's exception directory: what pefile warns of in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from corpus.features.ember_v3 import walks
from corpus.features.ember_v3.sections import AddressMap

_MACHINES = (0x8664, 0x0200)  # AMD64 and IA64; pefile reads no functions of others

_WARNINGS = {
    walks.UNREADABLE: "Failed to process directory...",
    walks.SHORT_FUNCTION: "Corrupt header...",
    walks.UNKNOWN_VERSION: "Unsupported version of UNWIND_INFO...",
    walks.UNKNOWN_CODE: "Unknown UNWIND_CODE at...",
}


@dataclass(frozen=True)
class RuntimeFunctions:
    """`found` is whether pefile's list of functions has any, `warnings` are format_warnings' lines."""

    found: bool
    warnings: frozenset[str]


def runtime_functions(
    address_map: AddressMap, rva: int, size: int, machine: int
) -> RuntimeFunctions:
    """What pefile's `parse_exceptions_directory` makes of `size` bytes at an RVA.

    Where data are missing a PEFormatError leaves it, and `parse_data_directories` makes of that
    the warning "Failed to process directory...", as is done here; nothing else is ever raised. The
    time and the memory, up to 70 bytes each, are bounded by the functions that there are data for,
    whatever `size` is.
    """
    if machine not in _MACHINES:
        return RuntimeFunctions(False, frozenset())
    ended, address_map.last, begins, chains, states = walks.walk_functions(
        *address_map.arrays, address_map.last, rva, size // walks.FUNCTION_SIZE
    )
    warnings = {_WARNINGS[ended]} if ended else set()
    if ended == walks.UNREADABLE:
        return RuntimeFunctions(False, frozenset(warnings))
    chained = (states == walks.CHAINED) | (states == walks.CHAINED_AGAIN)
    if chained.any():
        begins.sort()
        chains = chains[chained]
        exists = begins[np.searchsorted(begins[:-1], chains)] == chains
        if not exists.all():
            warnings.add("FunctionEntry of UNWIND_INFO at...")
        # Functions share unwind data, and pefile refuses to chain the same data once more.
        if (states[chained][exists] == walks.CHAINED_AGAIN).any():
            warnings.add("Failed parsing FunctionEntry of UNWIND_INFO at...")
    return RuntimeFunctions(begins.size > 0, frozenset(warnings))
