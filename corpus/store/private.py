"""Files and folders on a disk that are not for all users of the machine.

What the owner's group may do is the umask's affair: 0640 and 0750 with 022, 0660 and 0770 with 002.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

_FILE_MODE = 0o660
_FOLDER_MODE = 0o770


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing. One that is there stays as it is."""
    try:
        folder.mkdir(_FOLDER_MODE, exist_ok=True)
    except FileNotFoundError:
        make_folder(folder.parent)
        folder.mkdir(_FOLDER_MODE, exist_ok=True)


def create(path: Path) -> IO[bytes]:
    """Open a new file for writing. Raises `FileExistsError`."""
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, _FILE_MODE))
