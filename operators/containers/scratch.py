"""The folder that a task shares with its containers, and who owns it.

    <docker.scratch>/<key>/
        owner.json      the try that has the task now
        settings.toml   settings for the trusted steps
        sandbox.toml    settings for the step that reads hostile bytes
        workspace/      just what this step needs of the corpus
        spool/          its temporary files
        stage-in/ run/ stage-out/    a folder a step, for its result.json
        stage-in.done ...    steps that have ended well
        given-up        there once the task was told to stop: no try continues with what is here

The folder is gone when its task has ended; one that stays belonged to a worker that was killed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from corpus.errors import BadSettingError, PassingFaultError
from operators.task_try import TaskTry

OWNER = "owner.json"
RESULT = "result.json"
# Begins the name of a folder that is being removed.
WITHDRAWN = ".withdrawn-"
# The images' own user.
CORPUS_USER = (50000, 50000)
_DONE = "done"
_GIVEN_UP = "given-up"


class Scratch:
    """The folder of one task instance; all its tries on this host use the same one.

    :param root: the setting `docker.scratch`: the same path on the host and in the worker.
    :param user: uid and gid that containers run as; the folder is made theirs if that is possible.
    """

    def __init__(self, root: Path, task: TaskTry, user: tuple[int, int]) -> None:
        self.root = root
        self.task = task
        self.user = user
        self.path = root / key(task)

    def continues(self, work: str = "") -> bool:
        """Whether this try can continue what a previous try of the same generation, at the same work, left.

        It cannot if that one was told to stop, or if the host went down since: what is written here is
        never synced to the disk.
        """
        owner = read_owner(self.path)
        if owner is None or owner.generation != self.task.generation:
            return False
        if (self.path / _GIVEN_UP).exists():
            return False
        told = _read(self.path)
        return told.get("boot") == _boot() and told.get("work") == work

    def claim(self, work: str = "") -> None:
        """Make this try the owner; what it cannot continue is removed. Raises `BadSettingError`."""
        if not self.root.is_dir():
            raise BadSettingError(
                f"{self.root} is not a folder.",
                field="docker.scratch",
                hint="Make it on the host, and mount it into the worker at the same path.",
            )
        try:
            # Or else the reaper might take the folder away in between.
            with _locked(self.root):
                discarded = None if self.continues(work) else _set_aside(self.path)
                self._make(self.path)
                time = datetime.now(UTC).isoformat(timespec="seconds")
                owner = asdict(self.task) | {"time": time, "boot": _boot(), "work": work}
                self.write(OWNER, json.dumps(owner))
            # Gigabytes take a while, in which all tasks of the host would wait for the lock.
            if discarded:
                remove(discarded)
        except PermissionError as error:
            raise BadSettingError(
                f"{error.filename}: {error.strerror}.", field="docker.scratch"
            ) from error

    def owned(self) -> bool:
        """Whether no later try has taken the task over."""
        return read_owner(self.path) == self.task

    def require_owned(self) -> None:
        """Raise `PassingFaultError` if a later try has taken the task over: this one lost touch with Airflow
        for a while, and what it does now would be done twice.
        """
        if not self.owned():
            raise PassingFaultError("a later attempt has taken this task over.")

    def give_up(self) -> None:
        """Have later tries begin again, even if nothing of this one can be removed any more."""
        if self.owned():
            # On a full disk there is no more to be done.
            with contextlib.suppress(OSError):
                (self.path / _GIVEN_UP).touch()

    def release(self) -> None:
        """Remove the folder, unless a later try has it."""
        if self.owned() and (withdrawn := withdraw(self.path, self.task)):
            remove(withdrawn)

    def folder(self, name: str) -> Path:
        """A folder in it, writable by the containers."""
        with _disk(self.path):
            return self._make(self.path / name)

    def write(self, name: str, text: str) -> Path:
        """Write a small file whole; a reader finds the old one or the new one."""
        file = self.path / name
        partial = file.with_name(f".{file.name}.{os.getpid()}")
        with _disk(file):
            partial.write_text(text)
            self._own(partial).chmod(0o600)
            partial.replace(file)
        return file

    def forget(self, step: str) -> None:
        """Remove the result of a container that failed, so that it is not taken for its successor's."""
        result = self.path / step / RESULT
        with contextlib.suppress(OSError):
            try:
                result.unlink()
            except IsADirectoryError:
                remove(result)

    def is_done(self, step: str) -> bool:
        return (self.path / f"{step}.{_DONE}").is_file()

    def mark_done(self, step: str) -> None:
        self.require_owned()
        # Beside the step's folder: what ran in the container cannot say that it is done.
        self.write(f"{step}.{_DONE}", "")

    def _make(self, folder: Path) -> Path:
        folder.mkdir(mode=0o700, exist_ok=True)
        return self._own(folder)

    def _own(self, path: Path) -> Path:
        if os.geteuid() == 0:
            os.chown(path, *self.user, follow_symlinks=False)
        return path


def user_of(setting: str) -> tuple[int, int]:
    """uid and gid that containers run as, of the setting `docker.user`. Raises `BadSettingError`."""
    own = os.geteuid()
    if not setting:
        return (own, os.getegid()) if own else CORPUS_USER
    numbers = re.fullmatch(r"([0-9]+):([0-9]+)", setting)
    if not numbers:
        raise BadSettingError(
            f"{setting!r} is not uid:gid.",
            field="docker.user",
            hint="Both are numbers, 1000:1000 say: names of users are not the same in all images.",
        )
    uid, gid = map(int, numbers.groups())
    if not (uid and gid):
        raise BadSettingError("no container runs as root.", field="docker.user")
    if own not in (0, uid):
        raise BadSettingError(
            f"the worker runs as uid {own}, and can share no folder with containers of uid {uid}.",
            field="docker.user",
            hint="Leave it empty for the worker's own user, or run the worker as root.",
        )
    return uid, gid


def key(task: TaskTry) -> str:
    """The name of a task's folder: the same for all its tries, and of harmless characters."""
    return str(uuid.uuid5(uuid.UUID(task.run_uuid), f"{task.task_id}/{task.map_index}"))


def is_key(name: str) -> bool:
    """Whether a folder's name is one that `key` gives."""
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False


def read_owner(folder: Path) -> TaskTry | None:
    """The try that owns a folder; None if it says nothing that can be read."""
    try:
        return TaskTry.from_dict(_read(folder))
    except (OSError, ValueError, TypeError):
        return None


def _read(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / OWNER).read_text())
    return told


def _boot() -> str:
    """Another one after each start of the host; containers see the host's."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def folders(root: Path) -> Iterator[Path]:
    """All folders of tasks below the setting `docker.scratch`."""
    yield from (path for path in root.iterdir() if path.is_dir() and not path.is_symlink())


def withdraw(folder: Path, owner: TaskTry | None) -> Path | None:
    """Move a folder aside for later removal; return its new path.

    None if it no longer belongs to `owner`, or does not exist: a try that claims it at this moment gets
    it whole, or makes a new one.
    """
    with _locked(folder.parent):
        if folder.is_symlink() or read_owner(folder) != owner:
            return None
        return _set_aside(folder)


def _set_aside(folder: Path) -> Path | None:
    """Rename a folder, so that its name is free at once; return its new path, None if there is no folder."""
    withdrawn = folder.with_name(f"{WITHDRAWN}{folder.name}-{uuid.uuid4().hex[:8]}")
    try:
        folder.rename(withdrawn)
    except FileNotFoundError:
        return None
    return withdrawn


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Of all processes on this host, one at a time claims or withdraws a folder below `root`."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove(folder: Path) -> None:
    """Remove a folder with all in it, whatever a container has made of it."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):
        # Folders without rights, or nested deeper than Python can follow.
        subprocess.run(["chmod", "-R", "u+rwx", "--", folder], check=False, capture_output=True)
        subprocess.run(["rm", "-rf", "--", folder], check=True, capture_output=True)


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    """A full disk passes: what is there of it belongs to other tasks, and to the reaper."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise PassingFaultError(
            f"{path}: the disk is full.", hint="Free it, or move the setting docker.scratch."
        ) from error
