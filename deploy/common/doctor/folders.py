"""Checks of folders: whether they can be used as they must be, and how much room there is."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.common.doctor.account import name_of
from deploy.common.doctor.finding import Answer, ok, warn, wrong

_GB = 1e9
# With fewer free inodes than this a file system is as good as full, however many bytes are free.
_INODES = 2_000


def path(folder: Path, refused: str) -> Answer:
    """Whether a path has characters that a program gives a meaning of its own.

    :param refused: those characters; a variable's name after a dollar is always refused, if there is such a variable.
    """
    bad = sorted(set(refused) & set(str(folder)))
    if bad:
        named = " and ".join(repr(one) for one in bad)
        return wrong(
            f"{str(folder)!r} has {named} in it, which Airflow, Python or Docker read as more than a character.",
            "Choose another folder: WORK=DIR, or a checkout elsewhere.",
        )
    if os.path.expandvars(folder) != str(folder):
        return wrong(
            f"Airflow would read {folder} as {os.path.expandvars(folder)}.",
            "Choose another folder: WORK=DIR, or a checkout elsewhere.",
        )
    return ok(str(folder))


def usable(folder: Path) -> Answer:
    """Whether files can be made, locked, renamed and linked in a folder, or where it would be made."""
    there = _existing(folder)
    elsewhere = "Choose a folder on a local disk: WORK=DIR."
    try:
        own = Path(tempfile.mkdtemp(prefix=".doctor-", dir=there))
    except OSError as error:
        return wrong(
            f"{there} cannot be written: {error.strerror}.",
            f"Make it writable for {name_of(os.geteuid())}, or choose another one: WORK=DIR.",
        )
    try:
        file, other = own / "file", own / "other"
        with file.open("w") as stream:
            for lock in (fcntl.flock, fcntl.lockf):
                try:
                    lock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    return wrong(f"Files in {there} cannot be locked: {error.strerror}.", elsewhere)
        try:
            os.link(file, other)
        except OSError as error:
            return wrong(f"Files in {there} cannot have two names: {error.strerror}.", elsewhere)
        file.replace(other)
    except OSError as error:
        return wrong(f"{there} cannot be used: {error.strerror}.", elsewhere)
    finally:
        shutil.rmtree(own, ignore_errors=True)
    return ok(f"{folder} can be written, and its files locked")


def executable(folder: Path) -> Answer:
    """Whether programs may be run from a folder, or where it would be made."""
    there = _existing(folder)
    if os.statvfs(there).f_flag & os.ST_NOEXEC:
        return wrong(
            f"No program can be run from {there}: its file system is mounted with noexec.",
            "Choose another place for the virtual environment: VENV=DIR.",
        )
    return ok(f"programs can be run from {there}")


def ours(paths: Iterable[Path], work: Path) -> Answer:
    """Whether what is there can be written by this user, or was made by another one, as with sudo."""
    foreign = [one for one in paths if os.path.exists(one) and not os.access(one, os.W_OK)]
    if not foreign:
        return ok("what is there can be written")
    owner, own = name_of(foreign[0].stat().st_uid), name_of(os.geteuid())
    if owner == own:
        return wrong(f"{foreign[0]} cannot be written.", f"Type this: chmod -R u+rwX {work}")
    return wrong(
        f"{foreign[0]} belongs to {owner}, and {own} cannot write to it.",
        f"Type this, then try again: sudo chown -R {own} {work}",
    )


def room(folder: Path, needed_gb: float, least_gb: float, files: int = _INODES) -> Answer:
    """Free space of a folder's file system, or of where it would be made.

    :param needed_gb: a warning with less of it; it is wrong with less than `least_gb`.
    :param files: how many files will be made.
    """
    there = _existing(folder)
    found = os.statvfs(there)
    free = found.f_bavail * found.f_frsize
    what = f"{free / _GB:.1f} GB free in {there}"
    # Some file systems make inodes as they need them, and say that they have none.
    if found.f_files and found.f_favail < files:
        return wrong(
            f"{there} has room for {found.f_favail} more files; {files} are needed (`df -i`).",
            "Remove files there, or choose a folder on another disk.",
        )
    if free < least_gb * _GB:
        return wrong(
            f"{what}; at least {least_gb:g} GB are needed.",
            "Remove files there, or choose a folder on another disk.",
        )
    if free < needed_gb * _GB:
        return warn(f"{what}; {needed_gb:g} GB may be needed.", "Make room there before it fills.")
    return ok(what)


def temporary(shell: Mapping[str, str], needed_gb: float, least_gb: float) -> Answer:
    """The folder of temporary files: where TMPDIR says, or /tmp."""
    named = shell.get("TMPDIR")
    folder = Path(named or "/tmp")  # noqa: S108 - what programs take without TMPDIR
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return wrong(
            f"{folder} is not a folder in which {name_of(os.geteuid())} can write.",
            "Unset TMPDIR, or let it name one." if named else f"As root: chmod 1777 {folder}",
        )
    if named is None and not folder.stat().st_mode & stat.S_ISVTX:
        return warn(
            f"{folder} lacks the sticky bit: everybody can remove everybody's files.",
            f"As root: chmod 1777 {folder}",
        )
    return room(folder, needed_gb, least_gb)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(one for one in (folder, *folder.parents) if os.path.exists(one))
