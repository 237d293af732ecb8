"""The feature set `basic-v1`: bytes, headers, sections and imports of PE and ELF files.

`content` counts bytes, `pe` and `elf` read structures by LIEF, `vectors` turns all that into
numbers, `hashing` gives names their columns. docs/reference/features.md has every column.
"""

from __future__ import annotations

from corpus.features.basic_v1.raw import raw
from corpus.features.basic_v1.vectors import vectorize

__all__ = ["raw", "vectorize"]
