"""Write a file whole: a reader, and whoever comes after a crash, finds the old content or the new.

What is written gets a name of its own beside the file, and then the file's name in one step.

Which writes are synced to disk (`durable=True`): those that a later command believes and that nothing can make
again after a power cut. These are the link to the current release, the outcomes of periodic jobs, and passwords and
keys that a database may have taken over already. All others are not synced, because the command that wrote them
makes them again: settings written from other settings, counters, downloads (which have a digest), indexes, signatures.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# How the name begins of what is under way; a process that was killed leaves such a file.
NEW = ".new-"


@contextmanager
def replacing(file: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a free path beside a file; what is made there (a file or a link) then replaces the file.

    If the body raises, the file stays as it is, and what was made is removed.
    """
    new = file.with_name(f"{NEW}{file.name}-{secrets.token_hex(4)}")
    try:
        yield new
        if durable and not new.is_symlink():
            _sync(new)
        new.replace(file)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    if durable:
        _sync(file.parent)


def write(
    file: Path, content: str | bytes, *, mode: int | None = None, durable: bool = False
) -> None:
    """Replace the content of a file, or make it.

    :param mode: the file's permissions, whatever the umask; by default what the umask leaves of 0666. The content
        is never readable by more than these.
    """
    data = content.encode() if isinstance(content, str) else content
    with replacing(file, durable=durable) as new:
        start = 0o666 if mode is None else mode
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, start)
        with os.fdopen(descriptor, "wb") as stream:
            if mode is not None:
                os.fchmod(stream.fileno(), mode)
            stream.write(data)


def write_if_other(file: Path, text: str) -> bool:
    """Write a file if its content differs; True if it did."""
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return False
    write(file, text)
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
