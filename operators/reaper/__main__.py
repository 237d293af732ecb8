"""Removes what killed workers leave on this host; one runs beside the workers of every host.

    python -m operators.reaper [--once] [--dry-run] [--json] [--grace SECONDS]
    python -m operators.reaper --health

Exit status of --once: 0 done, 1 something could not be removed, 2 a setting is wrong, 75 Airflow or
the engine did not answer. Of --health: 0 if a pass was completed lately, 1 if not.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from corpus.errors import CorpusError, PassingFaultError
from corpus.settings import Settings
from operators.reaper.report import Counts, Report

_IMAGES_EVERY_S = 3600.0
# A pass that removes thousands of containers takes minutes.
_HEALTHY_PASSES, _HEALTHY_S = 5, 300.0
_HEALTH_FILE = ".reaper-"
_DAY_S = 86_400.0


class Reaper:
    """Passes over one host: what tasks left, and, each hour, old images."""

    def __init__(
        self, settings: Settings, report: Report, *, grace_s: float, dry_run: bool = False
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
        """One pass. Raises `CorpusError` where it could not be completed."""
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
                remove_former(self.settings)
        self.report.end_pass()
        return counts

    def run(self) -> NoReturn:
        """Pass after pass, for ever."""
        file = health_file(self.settings)
        before = None
        while True:
            try:
                counts = self.look()
            except CorpusError as error:
                self.report.once("fault", f"This pass was not completed: {error}")
                self.report.end_pass()
            else:
                # On a full disk there may be no room even for an empty file.
                with contextlib.suppress(OSError):
                    file.touch()
                # Tasks come and go; a line each time would hide what matters.
                if (told := replace(counts, containers=0, folders=0)) != before:
                    self.report.counted(counts)
                before = told
            time.sleep(self.settings.reaper.interval_s)

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


def health_file(settings: Settings) -> Path:
    """The file whose time is that of the last complete pass."""
    host = settings.docker.host or socket.gethostname()
    return Path(settings.docker.scratch, f"{_HEALTH_FILE}{quote(host, safe='')}")


def remove_former(settings: Settings) -> None:
    """Remove what reapers before this one have left: each container has a name of its own."""
    for file in Path(settings.docker.scratch).glob(f"{_HEALTH_FILE}*"):
        # Another that lives has touched its own within minutes.
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > _DAY_S:
                file.unlink()


def is_healthy(settings: Settings) -> bool:
    lately = max(_HEALTHY_PASSES * settings.reaper.interval_s, _HEALTHY_S)
    try:
        return time.time() - health_file(settings).stat().st_mtime < lately
    except OSError:
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # The first process of a container ignores signals that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        settings = Settings.load()
        if options.health:
            healthy = is_healthy(settings)
            print("A pass was completed lately." if healthy else "No pass was completed lately.")
            return 0 if healthy else 1
        reaper = Reaper(
            settings,
            Report(as_json=options.json, dry_run=options.dry_run),
            grace_s=settings.reaper.grace_s if options.grace is None else options.grace,
            dry_run=options.dry_run,
        )
        if not (options.once or options.dry_run):
            reaper.run()
        return 1 if reaper.once().failed else 0
    except CorpusError as error:
        print(error, file=sys.stderr)
        return error.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m operators.reaper",
        description="Remove containers and scratch folders whose task is over, and old images.",
    )
    parser.add_argument("--once", action="store_true", help="do all there is to do, and end")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what is lost now, remove nothing, and end"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--grace",
        type=_seconds,
        metavar="SECONDS",
        help="between the first sight of what is lost and its removal (reaper.grace_s)",
    )
    parser.add_argument(
        "--health", action="store_true", help="say whether a pass was completed lately"
    )
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise ValueError(text)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
