"""The DAG bundle over the releases on a host: a run ends on the release that it began with."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow import settings
from airflow.dag_processing.bundles.base import BaseDagBundle, BundleVersion
from airflow.sdk.exceptions import AirflowRescheduleException

from operators.errors import ReleaseMissingError

log = logging.getLogger(__name__)

# What a release brings; it is loaded again when a process goes from one release to another.
PACKAGES = ("corpus", "operators")
CURRENT = "current"
# Modules of Airflow that keep plugins, or what plugins gave.
_WITH_PLUGINS = (
    *("airflow.plugins_manager", "airflow.sdk.plugins_manager"),
    *("airflow.listeners.listener", "airflow.sdk.listener"),
)

# How often a release is not taken up because DAG files are being read; and after how many waits without a task
# that misses it a release counts as newly missing.
_PATIENCE = 5
_FORGOTTEN = 20


class ReleaseBundle(BaseDagBundle):
    """DAGs of the releases below a folder: of the one that the link `current` names, or of a given version.

    A version is the name of a release. Whoever initializes the bundle imports `corpus` and `operators` from that
    release from then on, whichever it had loaded before, and so does what it starts.

    :param releases: the folder with the releases and the link `current`.
    :param wait_s: how long tasks are put off while this host lacks the release of their run; then they fail.
    :param again_s: how long each time.
    """

    supports_versioning = True

    def __init__(
        self, *, releases: str, wait_s: float = 3600, again_s: float = 30, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.releases = Path(releases)
        self._wait_s = wait_s
        self._again_s = again_s
        self._taken = self.version
        self._waited = 0

    def initialize(self) -> None:
        """Raises `AirflowRescheduleException` while the release is not here, `ReleaseMissingError` after `wait_s`."""
        if self.version is None:
            self.refresh()
        else:
            if not self.path.is_dir():
                self._put_off(self.version)
            self._absence(self.version).unlink(missing_ok=True)
            activate(self.releases / self.version)
        super().initialize()

    @property
    def path(self) -> Path:
        return self.releases / (self._taken or CURRENT) / "dags"

    def get_current_version(self) -> BundleVersion:
        return BundleVersion(version=self._taken or self._linked())

    def refresh(self) -> None:
        """Go on with the release that is current now; a bundle of a given version stays with that.

        The DAG processor takes what its children send for DAGs of the release that it is on when they end, so it
        goes to another one only between them. In the unlikely case that there are always some, it goes all the same.
        """
        if self.version is not None:
            return
        linked = self._linked()
        if self._taken not in (None, linked) and self._waited < _PATIENCE and _children():
            self._waited += 1
            return
        self._waited = 0
        self._taken = linked
        activate(self.releases / linked)

    def _linked(self) -> str:
        link = self.releases / CURRENT
        try:
            return os.readlink(link)
        except OSError as error:
            raise ReleaseMissingError(
                f"{link} names no release ({error.strerror}): install the package corpus-airflow on this host, "
                "or mount the folder of its releases."
            ) from None

    def _put_off(self, version: str) -> None:
        since = self._absent_since(version)
        if time.time() - since > self._wait_s:
            raise ReleaseMissingError(
                f"The run began with release {version}, which this host has not had for {self._wait_s:.0f} s. "
                f"Install corpus-airflow={version} here, then clear the task; or clear it with the newest version."
            )
        again = datetime.now(UTC) + timedelta(seconds=self._again_s)
        # In the task's log, where who waits for it looks.
        log.warning(
            "This host has not got release %s, which the run began with: the task is put off for %.0f s. "
            "Install corpus-airflow=%s here within %.0f s.",
            version,
            self._again_s,
            version,
            since + self._wait_s - time.time(),
        )
        raise AirflowRescheduleException(again)  # type: ignore[no-untyped-call]

    def _absent_since(self, version: str) -> float:
        """Since when tasks that came to this host have missed a release, one after the other."""
        absence = self._absence(version)
        now = time.time()
        try:
            since, last = float(absence.read_text()), absence.stat().st_mtime
        except (OSError, ValueError):
            since = last = now
        if now - last > _FORGOTTEN * self._again_s:
            # It may have been here meanwhile.
            since = now
        absence.parent.mkdir(parents=True, exist_ok=True)
        absence.write_text(str(since))
        return since

    def _absence(self, version: str) -> Path:
        return Path(tempfile.gettempdir(), f"{self.name}-missing", version)


def activate(release: Path) -> None:
    """Make this process, and what it starts, import the bundle's packages from one release.

    What is loaded of another release is forgotten, and not changed: who holds an object of it keeps that.
    """
    root = str(release)
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [root, *_without_releases(sys.path, release.parent)]
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [root, *_without_releases(inherited, release.parent)]
    )
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in PACKAGES and not _is_of(module, root):
            del sys.modules[name]
    importlib.invalidate_caches()
    _load_plugins_of(release / "plugins")


def _load_plugins_of(folder: Path) -> None:
    """A task's process loads plugins before it knows its run's release: those of another go, and what they gave."""
    if str(folder) == settings.PLUGINS_FOLDER:
        return
    settings.PLUGINS_FOLDER = str(folder)
    for name in _WITH_PLUGINS:
        for member in list(vars(sys.modules.get(name, object)).values()):
            if hasattr(member, "cache_clear"):
                member.cache_clear()


def _children() -> bool:
    """Whether this process has any."""
    lists = Path("/proc/self/task").glob("*/children")
    return any(one.read_text().strip() for one in lists)


def _without_releases(paths: Iterable[str], releases: Path) -> list[str]:
    return [path for path in paths if path and Path(path).parent != releases]


def _is_of(module: Any, root: str) -> bool:
    file = getattr(module, "__file__", None)
    places: Sequence[str] = [file] if file else list(getattr(module, "__path__", []))
    return any(place.startswith(root + os.sep) for place in places)
