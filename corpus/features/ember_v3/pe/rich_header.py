"""The Rich header: what the linker wrote of the tools that made the object files."""

from __future__ import annotations

import struct

from corpus.errors import BadInputError

_DANS = 0x536E6144
_RICH = 0x68636952
_START = 0x80


def rich_header(data: bytes, optional_header: int) -> tuple[list[int], set[str]]:
    """Decoded values (tool id and count by turns) and warnings, as pefile 2024.8.26 reads them.

    `optional_header` is that header's offset, where the search for the mark "Rich" ends. Raises
    `BadInputError` if pefile fails: the mark comes so early that it stands in for words before it.
    """
    mark = data.find(b"Rich", _START, optional_header)
    if mark == -1:
        return [], set()
    end = min(mark + 8, len(data))
    words = list(struct.unpack_from(f"<{max(0, end - _START) // 4}I", data, _START))
    # The mark was found at any byte; as a word it may be missing.
    if _RICH not in words:
        return [], set()
    warnings = set()
    try:
        key = words[words.index(_RICH) + 1]
        if words[0] ^ key != _DANS or words[1] != key or words[2] != key or words[3] != key:
            warnings.add("Rich Header is not in Microsoft format, possibly malformed...")
    except IndexError as error:
        problem = f"the definition fails with this PE file (IndexError: {error})"
        raise BadInputError(problem) from error
    values: list[int] = []
    body = words[4:]
    for index in range(0, len(body) - 1, 2):
        if body[index] == _RICH:
            if body[index + 1] != key:
                warnings.add("Rich Header is malformed...")
            break
        values += (body[index] ^ key, body[index + 1] ^ key)
    return values, warnings
