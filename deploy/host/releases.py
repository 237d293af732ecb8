"""Releases of the bundle on this host: folders side by side, and the link `current` to the one that new runs take.

<folder>/1.4.0/       corpus, dags, operators, plugins, release.json
<folder>/1.5.0/
<folder>/current      -> 1.5.0, relative, so that it holds inside a container too
<folder>/.history     when `current` was changed, and to what
<folder>/.tried/1.4.0 how that release was tried

A release never changes once it has its name, and `current` changes in one step: whoever reads sees one release
or another, and never part of each.
"""

from __future__ import annotations

import compileall
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from deploy.common import atomic
from deploy.common.errors import BadInputError, DamagedError, UnrecordedError
from deploy.host.manifest import VERSION, Manifest

# Where containers see the folder; compiled code names it in tracebacks.
INSIDE = "/opt/corpus-airflow"


class Releases:
    """Those below one folder. What changes them holds a lock; what reads them needs none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """Oldest first, by when each was installed."""
        if not self.folder.is_dir():
            return []
        found = [one for one in self.folder.iterdir() if one.is_dir() and not one.is_symlink()]
        named = [one for one in found if VERSION.fullmatch(one.name)]
        return [one.name for one in sorted(named, key=lambda one: one.stat().st_mtime_ns)]

    @property
    def current(self) -> str | None:
        """The release that new runs take; None before the first."""
        try:
            return os.readlink(self.folder / "current")
        except FileNotFoundError:
            return None

    def __truediv__(self, name: str) -> Path:
        if not VERSION.fullmatch(name) or not (self.folder / name).is_dir():
            there = ", ".join(self.names()) or "none"
            raise BadInputError(f"There is no release {name!r} here; there are: {there}.")
        return self.folder / name

    def install(
        self,
        payload: Path,
        validate: Callable[[Path], str] = lambda _: "",
        *,
        manifest: Manifest | None = None,
        flip: bool = False,
    ) -> str:
        """Copy a payload to a release of its own and return its name, the version; `flip` makes it `current` too.

        The copy is checked against the manifest (the payload's own by default), and by `validate`, which says
        what it did, before it gets its name: if either raises, nothing has changed. If the release is here
        nothing is copied.
        Raises `BadInputError` if another build has the name, and what `switch` does.
        """
        wanted = manifest or Manifest.read(payload)
        wanted.check(payload)
        name = wanted.version
        with self._lock():
            if not self._has(wanted):
                copy = Path(tempfile.mkdtemp(prefix=atomic.NEW, dir=self.folder))
                try:
                    _copy(payload, wanted, copy, f"{INSIDE}/{name}")
                    wanted.check(copy)
                    told = validate(copy)
                    self._name_it(copy, name)
                    self._note(name, told)
                finally:
                    shutil.rmtree(copy, ignore_errors=True)
            if flip:
                # Within the lock: an old release would be `prune`'s to remove until it is current.
                self._flip(name)
        return name

    def switch(self, name: str) -> None:
        """Make `current` another release, in one step.

        Raises `BadInputError`, `DamagedError` if the release is, and `UnrecordedError`.
        """
        with self._lock():
            self._flip(name)

    def _flip(self, name: str) -> None:
        # Within the lock: another one may be removing it.
        folder = self / name
        Manifest.read(folder).check(folder)
        self._record()
        if self.current == name:
            return
        # What the link names has to be on the disk before the link is.
        os.sync()
        with atomic.replacing(self.folder / "current", durable=True) as link:
            link.symlink_to(name)
        self._record()

    def _record(self) -> None:
        """Note what is current, and since when, if that was not done: a flip may have been cut short after it."""
        current, history = self.current, self.history()
        if current is None or (history and history[-1][1] == current):
            return
        since = datetime.fromtimestamp((self.folder / "current").lstat().st_mtime, UTC)
        try:
            with self._history.open("ab+") as file:
                # On a line of its own, whatever a full disk has left of the last one.
                file.seek(max(0, file.tell() - 1))
                start = "" if file.read() in (b"", b"\n") else "\n"
                line = f"{start}{since.isoformat(timespec='milliseconds')} {current}\n"
                file.write(line.encode())
        except OSError as error:
            raise UnrecordedError(
                f"{current} is current, and that could not be noted in {self._history} ({error.strerror}): "
                "make room, then type it again."
            ) from None

    def history(self) -> list[tuple[datetime, str]]:
        """When `current` became which release, oldest first. A line that is none is passed over."""
        if not self._history.is_file():
            return []
        found = []
        for line in self._history.read_text(encoding="utf-8", errors="replace").splitlines():
            when, _, name = line.partition(" ")
            with suppress(ValueError):
                # Aware, also where somebody has written a time without a zone.
                found.append((datetime.fromisoformat(when).astimezone(UTC), name))
        return found

    @property
    def previous(self) -> str | None:
        """What `current` was before, and is still there."""
        there = set(self.names()) - {self.current}
        return next((name for _, name in reversed(self.history()) if name in there), None)

    def remove(self, name: str) -> None:
        """Remove a release that is not the current one. Raises `BadInputError`."""
        with self._lock():
            folder = self / name
            if name == self.current:
                raise BadInputError(f"{name} is the current release; switch to another one first.")
            # No longer a release from here on, however long the removal takes.
            gone = Path(tempfile.mkdtemp(prefix=atomic.NEW, dir=self.folder))
            folder.rename(gone / name)
            shutil.rmtree(gone)
            (self._tried / name).unlink(missing_ok=True)

    def tried(self, name: str) -> str:
        """What `validate` said of a release when it was installed; empty if that is not known."""
        try:
            return (self._tried / name).read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    def _note(self, name: str, told: str) -> None:
        # A release without a note is as good.
        with suppress(OSError):
            self._tried.mkdir(exist_ok=True)
            (self._tried / name).write_text(f"{told}\n", encoding="utf-8")

    @property
    def _tried(self) -> Path:
        return self.folder / ".tried"

    @property
    def _history(self) -> Path:
        return self.folder / ".history"

    def _has(self, wanted: Manifest) -> bool:
        """Whether a release is here and whole. Raises `BadInputError` if its name is another build's."""
        there = self.folder / wanted.version
        if not there.is_dir():
            return False
        try:
            if Manifest.read(there).digest == wanted.digest:
                wanted.check(there)
                return True
        except DamagedError:
            return False
        # Under a name of its own it would be here what the name of the first is elsewhere.
        raise BadInputError(
            f"{there} is another build of {wanted.version}. A run is on a version, so hosts have to agree on its "
            "code.\nGive this build a version of its own, by a commit or a tag. On a host where no run is on the "
            "version, remove that folder instead; then try again."
        )

    def _name_it(self, copy: Path, name: str) -> None:
        target = self.folder / name
        # A name may not reach the disk before what it names.
        os.sync()
        if target.is_dir():
            # Damaged, so there is nothing to lose but the moment between the two.
            target.rename(copy.with_name(f"{copy.name}-damaged"))
        copy.rename(target)
        for left in self.folder.glob(f"{atomic.NEW}*-damaged"):
            shutil.rmtree(left)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One change at a time; also clears away what a change that was killed has left."""
        if not self.folder.is_dir():
            self.folder.mkdir(parents=True, exist_ok=True)
            # Whatever the umask: containers read it.
            self.folder.chmod(0o755)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in self.folder.glob(f"{atomic.NEW}*"):
                if left.is_dir() and not left.is_symlink():
                    shutil.rmtree(left)
                else:
                    left.unlink()
            yield


def _copy(payload: Path, manifest: Manifest, target: Path, inside: str) -> None:
    """The manifest's files, readable by all whatever the umask, and compiled: containers cannot write there."""
    for name in manifest.files:
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(payload / name, file)
    manifest.write(target)
    compileall.compile_dir(target, quiet=2, stripdir=str(target), prependdir=inside)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
