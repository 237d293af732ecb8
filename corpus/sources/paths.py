"""Paths that a command was given: folders opened, lists read, one path at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import IO


def expand(paths: Iterable[str]) -> Iterator[str]:
    """List each path that is not a folder, and in its place the files below each that is one.

    Those come sorted by their path, as `sorted` would have them. Links to folders are not followed
    below a folder. A folder that cannot be listed is given as it is: whoever opens it learns why.
    """
    for path in paths:
        if os.path.isdir(path):
            yield from _below(path)
        else:
            yield path


def read_list(stream: IO[bytes]) -> Iterator[str]:
    """The paths of a list, one a line; blank lines are none."""
    for line in stream:
        text = line.rstrip(b"\r\n")
        if text.strip():
            yield os.fsdecode(text)


def _below(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            names = []
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    # With its slash it is sorted to where the paths below it belong.
                    names.append(f"{entry.name}/")
                elif not entry.is_dir():
                    names.append(entry.name)
    except OSError:
        yield folder
        return
    for name in sorted(names):
        path = os.path.join(folder, name)
        if name.endswith("/"):
            yield from _below(path)
        else:
            yield path
