"""A file that is named twice: what both say of it."""

from __future__ import annotations

from dataclasses import replace

from corpus.sources.listing import SourceFile


def both(first: SourceFile, second: SourceFile) -> SourceFile:
    """The first, with the earlier date and all tags."""
    dates = [file.first_seen for file in (first, second) if file.first_seen]
    tags = tuple(sorted({*first.tags, *second.tags}))
    return replace(first, first_seen=min(dates, default=None), tags=tags)
