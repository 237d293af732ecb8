"""The reaper's passes over one host, and how a health check learns of them."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from corpus.errors import CorpusError, PassingFaultError
from operators.reaper.report import Counts, Report
from operators.settings import WorkerSettings

_IMAGES_EVERY_S = 3600.0
# A pass that removes thousands of containers takes minutes.
_HEALTHY_PASSES, _HEALTHY_S = 5, 300.0
_HEALTH_FILE = ".reaper-"
_AGAIN_S = 5.0
_DAY_S = 86_400.0


class Reaper:
    """Passes over one host: what tasks left, and, each hour, old images."""

    def __init__(
        self, settings: WorkerSettings, report: Report, *, grace_s: float, dry_run: bool = False
    ) -> None:
        # Not at the top: a health check has no use for them.
        from operators.containers.client import Client
        from operators.containers.engine import Engine
        from operators.reaper.airflow_api import AirflowApi
        from operators.reaper.images import OldImages
        from operators.reaper.sweep import Sweep

        reaper, docker = settings.reaper, settings.docker
        self.settings = settings
        self.report = report
        self.grace_s = grace_s
        self.dry_run = dry_run
        api = AirflowApi(reaper.api_url, reaper.api_user, Path(reaper.api_password_file))
        engine = Engine(
            # Listing thousands of containers takes a busy engine a while.
            Client(docker.url, timeout_s=120),
            # The next pass is the next attempt.
            wait_s=0,
            say=lambda line: None,
        )
        self._sweep = Sweep(settings, api, engine, report, grace_s=grace_s, dry_run=dry_run)
        self._images = OldImages(settings, engine, report, dry_run)
        self._images_at = float("-inf")

    def look(self) -> Counts:
        """One pass. Raises `CorpusError` if it could not be completed."""
        try:
            counts = self._sweep.look()
        except OSError as error:
            place = error.filename or self.settings.docker.scratch
            raise PassingFaultError(f"{place}: {error.strerror or error}.") from error
        if time.monotonic() - self._images_at >= _IMAGES_EVERY_S:
            try:
                counts.removed_images = self._images.remove()
                self._images_at = time.monotonic()
            except PassingFaultError as error:
                # What tasks left does not stay for it, however long it lasts.
                counts.failed += 1
                self.report.once("images", f"Old images were not looked for: {error}")
            if not self.dry_run:
                remove_old_health_files(self.settings)
        self.report.end_pass()
        return counts

    def run(self) -> NoReturn:
        """Pass after pass, for ever."""
        file = health_file(self.settings)
        before = None
        interval_s = self.settings.reaper.interval_s
        while True:
            pause_s = interval_s
            try:
                counts = self.look()
            except CorpusError as error:
                self.report.once("fault", f"This pass was not completed: {error}")
                self.report.end_pass()
                # Airflow may be just starting, and who starts it waits until this is healthy.
                pause_s = min(interval_s, _AGAIN_S)
            else:
                # On a full disk there may be no room even for an empty file.
                with contextlib.suppress(OSError):
                    file.touch()
                # Tasks come and go; a line each time would hide what matters.
                if (told := replace(counts, containers=0, folders=0)) != before:
                    self.report.counted(counts)
                before = told
            time.sleep(pause_s)

    def once(self) -> Counts:
        """All that can be removed now: two passes, if the first finds anything."""
        counts = self.look()
        if counts.suspects and not self.dry_run:
            images = counts.removed_images
            time.sleep(self.grace_s)
            counts = self.look()
            counts.removed_images += images
        self.report.counted(counts)
        return counts


def health_file(settings: WorkerSettings) -> Path:
    """The file whose time is that of the last complete pass."""
    host = settings.docker.host or socket.gethostname()
    return Path(settings.docker.scratch, f"{_HEALTH_FILE}{quote(host, safe='')}")


def remove_old_health_files(settings: WorkerSettings) -> None:
    """Remove health files of previous reapers: each container of a reaper has a file of its own."""
    for file in Path(settings.docker.scratch).glob(f"{_HEALTH_FILE}*"):
        # Another that lives has touched its own within minutes.
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > _DAY_S:
                file.unlink()


def is_healthy(settings: WorkerSettings) -> bool:
    """Return whether a pass was completed lately."""
    lately = max(_HEALTHY_PASSES * settings.reaper.interval_s, _HEALTHY_S)
    try:
        return time.time() - health_file(settings).stat().st_mtime < lately
    except OSError:
        return False
