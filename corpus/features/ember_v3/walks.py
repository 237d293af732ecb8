"""Kernels that read long directories of a PE file by RVA, with how they look RVAs up.

All in one file: numba would not see that a kernel of another file is out of date when `locate`
changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from corpus.features.ember_v3.compiled import BYTES, compiled, part

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


@part
def _locate(
    rva: int,
    last: int,
    spans: np.ndarray[Any, Any],
    bounds: np.ndarray[Any, Any],
    owners: np.ndarray[Any, Any],
    header_length: int,
    file_length: int,
) -> tuple[int, int, int]:
    """The file offset of an RVA, how many bytes there are from it on, and its section (-1: none).

    As AddressMap does it. The offset is -1 where that raises OutOfFile, the section is to be
    `last` the next time if there is one.
    """
    section = last
    if section < 0 or rva < spans[section, 0] or rva >= spans[section, 1]:
        section = owners[np.searchsorted(bounds, rva, side="right")]
    if section >= 0:
        offset = rva - spans[section, 0] + spans[section, 2]
        return offset, max(0, min(spans[section, 3], file_length) - offset), section
    if rva < header_length:
        return rva, header_length - rva, section
    if rva < file_length:
        return rva, file_length - rva, section
    return -1, 0, section


@part
def _dword(data: np.ndarray[Any, Any], offset: int) -> int:
    value = 0
    for byte in range(offset + 3, offset - 1, -1):
        value = value << 8 | data[byte]
    return value


@compiled(types.UniTuple(types.int64, 2)(*_map, *(types.int64,) * 5))
def walk_blocks(
    data: np.ndarray[Any, Any],
    spans: np.ndarray[Any, Any],
    bounds: np.ndarray[Any, Any],
    owners: np.ndarray[Any, Any],
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
    seen = np.zeros(identity + 1, np.uint32)  # the number of the block that had it last
    block = 0
    found = 0
    while rva < end:
        offset, length, section = _locate(
            rva, last, spans, bounds, owners, header_length, data.size
        )
        last = section if section >= 0 else last
        if offset < 0:
            return found | UNREADABLE_BLOCK, last
        if length < _BLOCK_HEADER:
            return found | SHORT_BLOCK, last
        if _dword(data, offset) > size_of_image:
            return found | ADDRESS_OUTSIDE, last
        block_size = _dword(data, offset + 4)
        if block_size > size_of_image:
            return found | BLOCK_TOO_LARGE, last
        found |= BLOCK
        block += 1

        offset, length, section = _locate(
            rva + _BLOCK_HEADER, last, spans, bounds, owners, header_length, data.size
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
def _read_unwind(
    data: np.ndarray[Any, Any], offset: int, length: int, state: int
) -> tuple[int, int, int]:
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
        count = np.int64(data[offset + 2])
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
def _slot(keys: np.ndarray[Any, Any], states: np.ndarray[Any, Any], key: int) -> int:
    """The place of a key in a hash table of a power of two places, or the place to put it."""
    place = key * 0x9E3779B1 & 0xFFFFFFFF
    place = (place ^ place >> 15) & keys.size - 1
    while states[place] != _NEW and keys[place] != key:
        place = place + 1 & keys.size - 1
    return place


@compiled(
    types.Tuple((types.int64, types.int64, _uint32s, _uint32s, _int16s))(
        *_map, types.int64, types.int64
    )
)
def walk_functions(
    data: np.ndarray[Any, Any],
    spans: np.ndarray[Any, Any],
    bounds: np.ndarray[Any, Any],
    owners: np.ndarray[Any, Any],
    header_length: int,
    last: int,
    rva: int,
    count: int,
) -> tuple[int, int, np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Read `count` RUNTIME_FUNCTIONs, or as many as there are, and their unwind data.

    Returns how it ended (0: after `count`), the new `last`, where the functions begin, and for
    unwind data in no order the function they are chained to, and their state: CHAINED or
    CHAINED_AGAIN, or any other if they are not chained.
    """
    begins = np.empty(512, np.uint32)
    known = 0
    keys = np.empty(1024, np.uint32)
    states = np.zeros(1024, np.int16)
    chains = np.empty(1024, np.uint32)
    ended = 0
    function = 0
    while function < count:
        offset, length, section = _locate(
            rva, last, spans, bounds, owners, header_length, data.size
        )
        last = section if section >= 0 else last
        if length < FUNCTION_SIZE:
            ended = UNREADABLE if offset < 0 else SHORT_FUNCTION
            break
        begin = _dword(data, offset)
        unwind = _dword(data, offset + 8)
        if unwind & 1 == 0:  # an odd one would be another function, which pefile does not follow
            offset, length, section = _locate(
                unwind, last, spans, bounds, owners, header_length, data.size
            )
            last = section if section >= 0 else last
            slot = _slot(keys, states, unwind)
            state = np.int64(states[slot])
            if state == CHAINED:
                states[slot] = CHAINED_AGAIN
            elif state == _NEW or state >= _UNWIND_HEADER:
                new_state, chain, ended = _read_unwind(data, offset, length, state)
                if ended:
                    break
                keys[slot] = unwind
                states[slot] = new_state
                chains[slot] = chain
                known += state == _NEW
                if 2 * known > keys.size:
                    old_keys, old_states, old_chains = keys, states, chains
                    keys = np.empty(2 * old_keys.size, np.uint32)
                    states = np.zeros(keys.size, np.int16)
                    chains = np.empty(keys.size, np.uint32)
                    for old in range(old_keys.size):
                        if old_states[old] != _NEW:
                            slot = _slot(keys, states, old_keys[old])
                            keys[slot] = old_keys[old]
                            states[slot] = old_states[old]
                            chains[slot] = old_chains[old]
        if function == begins.size:
            longer = np.empty(2 * function, np.uint32)
            longer[:function] = begins
            begins = longer
        begins[function] = begin
        function += 1
        rva += FUNCTION_SIZE
    return ended, last, begins[:function], chains, states
