"""Files and folders below a root, opened without following a link: the root's own path alone is trusted."""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterator
from functools import cache
from typing import IO

__all__ = ["is_folder", "is_no_file", "open_file", "stat_file", "walk"]

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
# proc, sysfs, cgroup, cgroup2, debugfs, tracefs, securityfs, devpts: what is there is not a file that
# anyone put there. Numbers of linux/magic.h.
_NO_FILES = {
    0x9FA0, 0x62656572, 0x27E0EB, 0x63677270, 0x64626720, 0x74726163, 0x73636673, 0x1CD1,
}  # fmt: skip


def is_no_file(error: OSError) -> bool:
    """Whether what is at a path is a link, a pipe, a socket or a device, or the kernel's own.

    Only then an error of this module has no number, and its text is meant for a person.
    """
    return error.errno is None


def open_file(root: str, path: str) -> IO[bytes]:
    """Open the regular file at `path`, which is `root` or below it. Raises `OSError`."""
    descriptor = _open(root, path, folder=False)
    try:
        _regular(os.fstat(descriptor))
        _kept(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return open(descriptor, "rb")


def stat_file(root: str, path: str) -> os.stat_result:
    """Say how the regular file at `path` looks. Raises `OSError`."""
    with open_file(root, path) as stream:
        return os.fstat(stream.fileno())


def is_folder(root: str, path: str) -> bool:
    """Return whether there is a folder at `path`. Raises `OSError`."""
    try:
        os.close(_open(root, path, folder=True))
    except NotADirectoryError:
        return False
    return True


def walk(root: str, path: str) -> Iterator[tuple[str, os.stat_result | OSError]]:
    """List the regular files below the folder at `path`, in no order: each with how it looks, or a folder
    or file that could not be looked at with the reason. Links and what is not a file are left out.

    Raises `OSError` if the folder itself cannot be listed.
    """
    folders = [path]
    while folders:
        folder = folders.pop()
        try:
            yield from _entries(root, folder, folders)
        except FileNotFoundError:
            # Gone since its parent was listed.
            if folder == path:
                raise
        except OSError as error:
            if folder == path:
                raise
            yield folder, error


def _entries(
    root: str, folder: str, folders: list[str]
) -> Iterator[tuple[str, os.stat_result | OSError]]:
    descriptor = _open(root, folder, folder=True)
    try:
        _kept(descriptor)
        with os.scandir(descriptor) as entries:
            for entry in entries:
                path = f"{folder.rstrip('/')}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif entry.is_file(follow_symlinks=False):
                    try:
                        yield path, entry.stat(follow_symlinks=False)
                    except OSError as error:
                        yield path, error
    finally:
        os.close(descriptor)


def _open(root: str, path: str, *, folder: bool) -> int:
    """Descriptor of what is at `path`; raises `NotADirectoryError` for a file if `folder`, or on the way."""
    inner = path[len(root) :] if root != "/" else path
    if not (path == root or inner.startswith("/")):
        raise ValueError("a path must lie below its root")
    names = [name for name in inner.split("/") if name]
    if not names:
        if not folder:
            _regular(os.stat(root))
        return os.open(root, _FLAGS | (os.O_DIRECTORY if folder else 0))
    descriptor = os.open(root, _FLAGS | os.O_DIRECTORY)
    try:
        for position, name in enumerate(names):
            last = position == len(names) - 1
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                raise OSError("is reached through a link")
            # Before it is opened: a mere open of a device may do something.
            if last and not folder:
                _regular(found)
            flags = _FLAGS | os.O_NOFOLLOW | (0 if last and not folder else os.O_DIRECTORY)
            inner_descriptor = os.open(name, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner_descriptor
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError("is not a regular file")


def _kept(descriptor: int) -> None:
    """Raise `OSError` for what the kernel makes up, such as the environment of a process."""
    if _file_system(os.fstat(descriptor).st_dev, descriptor) in _NO_FILES:
        raise OSError("is not a regular file")


_of_device: dict[int, int] = {}


def _file_system(device: int, descriptor: int) -> int:
    """The magic number of the file system of an open file, asked once a device."""
    if device not in _of_device:
        found = ctypes.create_string_buffer(512)
        if _libc().fstatfs(descriptor, found):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        # `f_type` is the first field, a word of the machine.
        _of_device[device] = ctypes.c_ulong.from_buffer(found).value & 0xFFFFFFFF
    return _of_device[device]


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
