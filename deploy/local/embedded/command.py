"""What `make run`, `make up` and `make down` do, on the Airflow of one work folder."""

from __future__ import annotations

import os
from pathlib import Path

from corpus.settings import Settings
from corpus.settings.toml import toml_value
from deploy.common.airflow_api import AirflowApi
from deploy.common.errors import InputError
from deploy.common.shell import say
from deploy.local.embedded.server import EmbeddedAirflow, Running
from deploy.local.embedded.share import Share
from deploy.local.embedded.stops import ignore_stops
from deploy.local.embedded.watch import Watch
from deploy.local.input import Input, WorkInput, feeds, is_new_input
from deploy.local.say import say_if_heard
from deploy.local.update import run_update
from deploy.local.variables import late_remarks, remarks


def configure(airflow: EmbeddedAirflow, samples: str | None, verdicts: str | None) -> Path | None:
    """Settle the input of this work folder; returns the corpus root, None if it is not a folder.

    Raises `InputError`, and `BadSettingError` if corpus.toml was edited and says nonsense.
    """
    root = airflow.work / "corpus"

    def render(found: Input) -> str:
        return (
            "# Written by `make run`, and never again once you have edited it; an environment variable\n"
            "# CORPUS_SECTION__KEY wins over it.\n"
            f"[store]\nroot = {toml_value(str(root), 'store.root')}\n\n"
            f"[sources]\nurls = {toml_value([found.samples] if found.samples else [], 'sources.urls')}\n\n"
            f"{feeds(found.verdicts)}"
        )

    record = airflow.work / "input.json"
    WorkInput(airflow.config, record, root, airflow.work / "demo").settle(samples, verdicts, render)
    used = Settings.load(file=airflow.config).store.root
    return None if "://" in used else Path(used)


class Command:
    """One call of a verb, on the Airflow of a work folder."""

    def __init__(self, airflow: EmbeddedAirflow):
        self.airflow = airflow
        self.share = Share(airflow.home)
        self._began = False

    def run(self, samples: str | None, verdicts: str | None) -> int:
        """Update the corpus; stop Airflow if this started it, or joined in, and nobody else needs it."""
        try:
            with self.share.changing():
                self._began = True
                root = self._configure(samples, verdicts)
                running = self._join() or self._start(kept=False)
                self.share.use()
            api = AirflowApi(running.url, "admin", self.airflow.password())
            watch = Watch(self.airflow, self.share, running, api)
            return 0 if run_update(api, root, watch) else 1
        finally:
            # What has only waited for its turn leaves nothing, and waits no longer.
            if self._began:
                ignore_stops()
                self._leave()

    def up(self, samples: str | None, verdicts: str | None) -> int:
        """Start Airflow if it does not run; it stays until `down`."""
        with self.share.changing():
            self._configure(samples, verdicts)
            running = self._join() or self._start(kept=True)
            self.airflow.keep(running)
        say(f"Airflow runs at {running.url}: user admin, password in {self.airflow.passwords}.")
        say("`make run` updates the corpus in it; `make down` stops it.")
        return 0

    def down(self) -> int:
        """Stop Airflow, whoever uses it."""
        if not self.airflow.home.is_dir():
            say("Nothing was running.")
            return 0
        with self.share.changing():
            if self.airflow.recorded() and self.share.used_by_others():
                say_if_heard("A `make run` is using it, and will end with an error.")
            stopped = self.airflow.stop()
        say("Stopped." if stopped else "Nothing was running.")
        return 0

    def _configure(self, samples: str | None, verdicts: str | None) -> Path | None:
        given = {"samples": samples, "verdicts": verdicts}
        if self.share.used_by_others() and is_new_input(self.airflow.work / "input.json", given):
            raise InputError(
                f"Another `make run` is reading its input from {self.airflow.config}. Wait for its end before you "
                "give other SAMPLES or VERDICTS, or choose another folder with WORK=DIR."
            )
        return configure(self.airflow, samples, verdicts)

    def _join(self) -> Running | None:
        """Return what runs, if it is meant to and is well; else say what was found."""
        found = self.airflow.recorded()
        used = self.share.used_by_others()
        if found and (found.kept or used):
            if dead := self.airflow.dead():
                ailing = f"{', '.join(dead)} has ended"
                say(f"Airflow at {found.url} is not well ({ailing}): starting it again.")
                return self.airflow.start(found.port, kept=found.kept)
            # What is alive and slow gets its time; whoever waits for it watches.
            if used:
                say(f"Another `make run` is under way: this one joins its Airflow, {found.url}.")
            for line in late_remarks(os.environ):
                say(f"  {line}")
            return found
        if left := self.airflow.leftovers():
            say(f"Found {left} processes of an earlier start whose command is gone; stopping them.")
        return None

    def _start(self, *, kept: bool) -> Running:
        say("Starting Airflow (SQLite, LocalExecutor) ...")
        for line in remarks(os.environ):
            say(f"  {line}")
        first = not self.airflow.passwords.exists()
        running = self.airflow.start(kept=kept)
        try:
            if first:
                password = self.airflow.password()
                say(f"  user admin, password {password} (kept in {self.airflow.passwords})")
            say(f"  {running.url}")
        except BaseException:
            ignore_stops()
            self.airflow.stop()
            raise
        return running

    def _leave(self) -> None:
        self.share.leave()
        with self.share.changing():
            running = self.airflow.running()
            if running and running.kept:
                say_if_heard(f"\nThe UI: {running.url} (user admin; `make down` stops it)")
            elif self.share.used_by_others():
                say_if_heard(
                    "\nAnother `make run` goes on in this Airflow, and stops it at its end."
                )
            elif running or self.airflow.leftovers():
                say_if_heard("\nStopping Airflow ...")
                self.airflow.stop()
                say_if_heard("Stopped. `make up` starts it again and keeps it running, for its UI.")
