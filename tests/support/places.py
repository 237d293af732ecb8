"""Allow-lists for tests that are about something else."""

from __future__ import annotations

from corpus.places.places import Places
from corpus.sources.files import Files


def anywhere(*urls: str) -> Files:
    """All files of this machine, and what the URLs name."""
    return Files(Places().adding(("/", *urls)))
