"""Kernels that read long directories of a PE file by RVA, with how they look RVAs up.

All in one file: numba would not see that the kernels of another file are out of date when
`_locate` changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.features.ember_v3.kernels.compiled import BYTES, address, compiled, part, types

# What walk_blocks found.
BLOCK = 1
UNREADABLE_BLOCK = 2
SHORT_BLOCK = 4
ADDRESS_OUTSIDE = 8
BLOCK_TOO_LARGE = 16
UNREADABLE_ENTRIES = 32
OVERLAP = 64

_BLOCK_HEADER = 8  # VirtualAddress and SizeOfBlock, which counts these bytes too

# How walk_functions ended.
UNREADABLE = 1
SHORT_FUNCTION = 2
UNKNOWN_VERSION = 4
UNKNOWN_CODE = 8

FUNCTION_SIZE = 12  # RUNTIME_FUNCTION: BeginAddress, EndAddress, UnwindData
_UNWIND_HEADER = 4  # before the codes of UNWIND_INFO, of two bytes each
_UNWIND_HANDLER = 4  # after the codes, if there are flags
_UNWIND_CHAINED = 4  # the flag by which that is the function the unwind data go on with

# How many codes an operation takes; of 0 codes are those that do not exist. ALLOC_LARGE takes one
# more if it has information; the first EPILOG one fewer if its information is odd, others always.
_CODES = np.array([1, 2, 1, 1, 2, 3, 2, 0, 2, 3, 1, 0, 0, 0, 0, 0], np.int64)
_ALLOC_LARGE = 1
_EPILOG = 6

# What is known of the unwind data at an RVA. pefile has one object for all functions with the same
# RVA, and reads it for each of them until a reading comes to the end, asking for as many bytes as
# the reading before would have needed. Other values are that number, at least _UNWIND_HEADER.
_NEW = 0
_READ = 1
CHAINED = 2
CHAINED_AGAIN = 3  # and more than one function has it

_int64s = types.Array(types.int64, 1, "C")
_map = (BYTES, types.Array(types.int64, 2, "C"), _int64s, _int64s, types.int64, types.int64)
_uint32s = types.Array(types.uint32, 1, "C")
_int16s = types.Array(types.int16, 1, "C")
_several: Any = types.UniTuple  # numba does not say its type


@part
def _locate(
    rva: int,
    last: int,
    spans: Any,
    bounds: Any,
    bound_count: int,
    owners: Any,
    header_length: int,
    file_length: int,
) -> tuple[int, int, int]:
    """The file offset of an RVA, how many bytes there are from it on, and its section (-1: none).

    As AddressMap does it. The offset is -1 if that raises OutOfFileError, the section is to be
    `last` the next time if there is one. Of the arrays it gets the addresses.
    """
    section = last
    if section < 0 or rva < spans[4 * section] or rva >= spans[4 * section + 1]:
        low = 0
        high = bound_count
        while low < high:
            middle = (low + high) >> 1
            if bounds[middle] <= rva:
                low = middle + 1
            else:
                high = middle
        section = owners[low]
    if section >= 0:
        offset = rva - spans[4 * section] + spans[4 * section + 2]
        return offset, max(0, min(spans[4 * section + 3], file_length) - offset), section
    if rva < header_length:
        return rva, header_length - rva, section
    if rva < file_length:
        return rva, file_length - rva, section
    return -1, 0, section


@part
def _dword(data: Any, offset: int) -> int:
    value = 0
    for byte in range(offset + 3, offset - 1, -1):
        value = value << 8 | data[byte]
    return value


@compiled(_several(types.int64, 2)(*_map, *(types.int64,) * 5))
def walk_blocks(
    data: NDArray[Any],
    spans: NDArray[Any],
    bounds: NDArray[Any],
    owners: NDArray[Any],
    header_length: int,
    last: int,
    rva: int,
    end: int,
    size_of_image: int,
    entry_size: int,
    identity: int,
) -> tuple[int, int]:
    """Read blocks of relocations from `rva` to `end`. Returns what was found, and the new `last`.

    Two entries of a block overlap if the bits of `identity` in their first two bytes are equal.
    """
    data_at, spans_at = address(data), address(spans)
    bounds_at, owners_at = address(bounds), address(owners)
    seen = np.zeros(identity + 1, np.uint32)  # the number of the block that had it last
    block = 0
    found = 0
    while rva < end:
        offset, length, section = _locate(
            rva, last, spans_at, bounds_at, bounds.size, owners_at, header_length, data.size
        )
        last = section if section >= 0 else last
        if offset < 0:
            return found | UNREADABLE_BLOCK, last
        if length < _BLOCK_HEADER:
            return found | SHORT_BLOCK, last
        if _dword(data_at, offset) > size_of_image:
            return found | ADDRESS_OUTSIDE, last
        block_size = _dword(data_at, offset + 4)
        if block_size > size_of_image:
            return found | BLOCK_TOO_LARGE, last
        found |= BLOCK
        block += 1

        offset, length, section = _locate(
            rva + _BLOCK_HEADER,
            last,
            spans_at,
            bounds_at,
            bounds.size,
            owners_at,
            header_length,
            data.size,
        )
        last = section if section >= 0 else last
        if offset < 0:
            found |= UNREADABLE_ENTRIES
        elif found & OVERLAP == 0:
            wanted = block_size - _BLOCK_HEADER
            if wanted < 0 and section >= 0 and offset + wanted < 0:
                # pefile slices to an end below 0, which counts from the end of the file.
                length = data.size + wanted
            else:
                length = min(length, wanted)
            for entry in range(offset, offset + length - entry_size + 1, entry_size):
                kind = (data[entry] | data[entry + 1] << 8) & identity
                if seen[kind] == block:
                    found |= OVERLAP
                    break
                seen[kind] = block
        if block_size == 0:
            break
        rva += block_size
    return found, last


@part
def _read_unwind(data: Any, offset: int, length: int, state: int) -> tuple[int, int, int]:
    """Read unwind data that are not read yet, as a function that has them makes pefile do.

    Returns their new state, the function they are chained to, and how the directory ended if so.
    """
    needed = _UNWIND_HEADER if state == _NEW else state
    for _ in range(2):
        got = min(needed, length)
        if got < _UNWIND_HEADER:
            return needed, 0, UNREADABLE
        version = data[offset] & 7
        flags = data[offset] >> 3
        count = data[offset + 2]
        handler = _UNWIND_HEADER + 2 * (count + (count & 1))
        needed = handler + (_UNWIND_HANDLER if flags else 0)
        if got < needed:
            continue
        if version != 1 and version != 2:
            return needed, 0, UNKNOWN_VERSION
        code = _UNWIND_HEADER
        epilog = False
        while count > 0:
            operation = data[offset + code + 1] & 15
            information = data[offset + code + 1] >> 4
            taken = _CODES[operation]
            if taken == 0:
                return needed, 0, UNKNOWN_CODE
            if operation == _ALLOC_LARGE and information:
                taken += 1
            elif operation == _EPILOG:
                taken -= epilog or information & 1
                epilog = True
            code += 2 * taken
            count -= taken
            if code > got:
                return needed, 0, UNREADABLE
        if flags & _UNWIND_CHAINED == 0:
            return _READ, 0, 0
        # The functions that had the data before they could be read count too.
        chained = CHAINED if state == _NEW else CHAINED_AGAIN
        return chained, _dword(data, offset + handler), 0
    return needed, 0, 0


@part
def _slot(keys: Any, states: Any, size: int, key: int) -> int:
    """The place of a key in a hash table of a power of two places, or the place to put it."""
    place = key * 0x9E3779B1 & 0xFFFFFFFF
    place = (place ^ place >> 15) & size - 1
    while states[place] != _NEW and keys[place] != key:
        place = place + 1 & size - 1
    return place


@compiled(types.void(*(_uint32s, _int16s, _uint32s) * 2))
def move_unwind(
    keys: NDArray[Any],
    states: NDArray[Any],
    chains: NDArray[Any],
    new_keys: NDArray[Any],
    new_states: NDArray[Any],
    new_chains: NDArray[Any],
) -> None:
    """Fill a larger table of unwind data with what a smaller one has."""
    new_keys_at, new_states_at = address(new_keys), address(new_states)
    for old in range(keys.size):
        if states[old] != _NEW:
            new = _slot(new_keys_at, new_states_at, new_keys.size, keys[old])
            new_keys[new] = keys[old]
            new_states[new] = states[old]
            new_chains[new] = chains[old]


@compiled(_several(types.int64, 3)(*_map, types.int64, _uint32s, _uint32s, _int16s, _uint32s))
def walk_functions(
    data: NDArray[Any],
    spans: NDArray[Any],
    bounds: NDArray[Any],
    owners: NDArray[Any],
    header_length: int,
    last: int,
    rva: int,
    begins: NDArray[Any],
    keys: NDArray[Any],
    states: NDArray[Any],
    chains: NDArray[Any],
) -> tuple[int, int, int]:
    """Read as many RUNTIME_FUNCTIONs as `begins` can hold, or as there are, and their unwind data.

    Fills `begins` with where they begin, and the hash table of unwind data by RVA (`keys`): their
    state, and the function they are chained to if that is CHAINED or CHAINED_AGAIN. The table has
    to have more free places than `begins`.

    Returns how many functions there were, how it ended (0: `begins` is full) and the new `last`.
    """
    data_at, spans_at = address(data), address(spans)
    bounds_at, owners_at = address(bounds), address(owners)
    keys_at, states_at = address(keys), address(states)
    for function in range(begins.size):
        offset, length, section = _locate(
            rva, last, spans_at, bounds_at, bounds.size, owners_at, header_length, data.size
        )
        last = section if section >= 0 else last
        if length < FUNCTION_SIZE:
            return function, UNREADABLE if offset < 0 else SHORT_FUNCTION, last
        begins[function] = _dword(data_at, offset)
        unwind = _dword(data_at, offset + 8)
        rva += FUNCTION_SIZE
        if unwind & 1:  # it would be another function, which pefile does not follow
            continue
        offset, length, section = _locate(
            unwind, last, spans_at, bounds_at, bounds.size, owners_at, header_length, data.size
        )
        last = section if section >= 0 else last
        slot = _slot(keys_at, states_at, keys.size, unwind)
        state = states[slot]
        if state == CHAINED:
            states[slot] = CHAINED_AGAIN
        elif state == _NEW or state >= _UNWIND_HEADER:
            new_state, chain, ended = _read_unwind(data_at, offset, length, state)
            if ended:
                return function, ended, last
            keys[slot] = unwind
            states[slot] = new_state
            chains[slot] = chain
    return begins.size, 0, last
