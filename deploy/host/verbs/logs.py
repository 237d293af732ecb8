"""`clean-logs`: old task logs go, and then the oldest until the rest fits."""

from __future__ import annotations

import errno
import os
import stat
import time
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from deploy.common.errors import BadInputError
from deploy.host import output
from deploy.host.jobs import Off, States
from deploy.host.settings import Logs, Settings

HELP = "remove task logs by age, then by total size"

_DAY_S = 86400.0


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say how much, and remove nothing")


def run(settings: Settings, wanted: Namespace) -> int:
    if wanted.dry_run:
        print(clean(settings.logs, dry_run=True))
    else:
        print(States(settings.state.folder).run("clean-logs", lambda: clean(settings.logs)))
    return 0


@dataclass(frozen=True, order=True)
class Log:
    """A log; `changed` in seconds since the epoch, `size` in bytes."""

    changed: float
    size: int
    folder: str
    name: str


@dataclass
class Found:
    """Logs below a folder, folders that have not changed for a day, and what of both cannot be read."""

    logs: list[Log] = field(default_factory=list)
    quiet: set[str] = field(default_factory=set)
    closed: list[str] = field(default_factory=list)


def clean(logs: Logs, *, dry_run: bool = False) -> str:
    """What was removed, in a line. Raises `BadInputError` if there is no folder."""
    if not (logs.days or logs.max_gb):
        return Off("Off: logs.days and logs.max_gb are 0.")
    if not logs.folder.is_dir():
        raise BadInputError(f"There is no folder {logs.folder}: set logs.folder, or mount it.")
    # A link to the folder is the administrator's; those in it are followed by nothing.
    root = logs.folder.resolve()
    now = time.time()
    with _as_owner(root):
        found = _found(root, now)
        old, surplus = chosen(found.logs, logs, now)
        failed = found.closed
        if not dry_run:
            failed = failed + _remove(root, [*old, *surplus], found.quiet)
    rest = sum(log.size for log in found.logs) - sum(log.size for log in (*old, *surplus))
    told = (
        f"{'Would remove' if dry_run else 'Removed'} {_told(old)} of more than {logs.days} days, "
        f"{_told(surplus)} above {logs.max_gb:g} GB; {output.size(rest)} are left."
    )
    if failed:
        raise OSError(
            f"{len(failed)} logs or folders below {logs.folder} could not be read or removed, {failed[0]} first. "
            f"{told}"
        )
    return told


def chosen(found: list[Log], logs: Logs, now: float) -> tuple[list[Log], list[Log]]:
    """Those that are too old, and those that are too many; the oldest first."""
    found = sorted(found)
    before = now - logs.days * _DAY_S if logs.days else float("-inf")
    old = [log for log in found if log.changed < before]
    surplus: list[Log] = []
    over = sum(log.size for log in found[len(old) :]) - logs.max_gb * 1e9
    if logs.max_gb:
        for log in found[len(old) :]:
            if over <= 0:
                break
            surplus.append(log)
            over -= log.size
    return old, surplus


def _told(logs: list[Log]) -> str:
    return f"{len(logs)} logs ({output.size(sum(log.size for log in logs))})"


def _found(root: Path, now: float) -> Found:
    found = Found()
    for folder, folders, names, handle in os.fwalk(root):
        if os.fstat(handle).st_mtime < now - _DAY_S:
            found.quiet.add(folder)
        found.closed += [
            os.path.join(folder, name) for name in folders if not _can_be_walked(name, handle)
        ]
        for name in names:
            if not name.endswith(".log"):
                continue
            try:
                of = os.stat(name, dir_fd=handle, follow_symlinks=False)
                if stat.S_ISREG(of.st_mode):
                    found.logs.append(Log(of.st_mtime, of.st_size, folder, name))
            except FileNotFoundError:
                pass
            except OSError:
                found.closed.append(os.path.join(folder, name))
    return found


def _can_be_walked(name: str, parent: int) -> bool:
    """False if the walk, which passes over what it cannot open, would miss a folder."""
    try:
        os.close(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent))
    except OSError as error:
        # Gone since, or a link, which is not followed.
        return error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
    return True


def _remove(root: Path, logs: list[Log], quiet: set[str]) -> list[str]:
    """Remove logs and the folders that this empties; those logs that could not be."""
    names = defaultdict(set)
    for log in logs:
        names[log.folder].add(log.name)
    failed = []
    # By handles of folders: whoever may write here could put a link to another place into a path.
    for folder, folders, _, handle in os.fwalk(root, topdown=False):
        for name in names[folder]:
            try:
                os.unlink(name, dir_fd=handle)
            except FileNotFoundError:
                pass
            except OSError:
                failed.append(os.path.join(folder, name))
        for name in folders:
            # One that is new may be a task's that is about to begin its log.
            if os.path.join(folder, name) in quiet:
                # Not empty, a link, or gone.
                with suppress(OSError):
                    os.rmdir(name, dir_fd=handle)
    return failed


@contextmanager
def _as_owner(folder: Path) -> Iterator[None]:
    """Act as who owns a folder: on NFS root may be nobody, and elsewhere it may do too much."""
    if os.geteuid() != 0:
        yield
        return
    owner = folder.stat()
    groups = os.getgroups()
    # Before the others: whoever is not root may not. Else root's own groups would still open doors.
    os.setgroups([])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
