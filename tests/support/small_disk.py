"""A disk small enough to be filled."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own at `place`; where nobody may mount one, the test is skipped."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting a tmpfs needs root: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(file: Path, left: int = 0) -> None:
    """Take all room that the file's disk has, but for so many bytes."""
    with file.open("wb") as stream:
        while (free := shutil.disk_usage(file.parent).free) > left:
            os.posix_fallocate(stream.fileno(), stream.seek(0, os.SEEK_END), free - left)
