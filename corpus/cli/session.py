"""The global options of one call of the command, and what follows from them.

Every help text loads this module, so what reads data is imported where it is first needed.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corpus.contract.run_identity import parse_identity
from corpus.errors import BadSettingError, CorpusError

if TYPE_CHECKING:
    from corpus.services.context import Context
    from corpus.settings import Settings

RUN_VARIABLE = "CORPUS_RUN"


@dataclass
class Session:
    """The global options of one call."""

    overrides: dict[str, Any] = field(default_factory=dict)
    config: Path | None = None
    result: Path | None = None
    # Whether errors are printed as JSON.
    as_json: bool = False

    @property
    def by_person(self) -> bool:
        """Whether no run is behind the call: operators tell the command which run it is of."""
        return RUN_VARIABLE not in os.environ

    @cached_property
    def settings(self) -> Settings:
        from corpus.settings import Settings

        if not self.by_person and "places" in self.overrides:
            raise BadSettingError(
                "a run may not override this setting.",
                field="places",
                hint="It belongs in the settings of the worker.",
            )
        loaded = Settings.load(self.overrides, file=self.config)
        return _from_here(loaded) if self.by_person else loaded

    @cached_property
    def context(self) -> Context:
        """Settings and store, with the identity of the run that the environment tells of."""
        from corpus.places.places import Places
        from corpus.services.context import Context
        from corpus.settings import Settings

        run = parse_identity(os.environ.get(RUN_VARIABLE, "{}"), RUN_VARIABLE)
        made = Context.from_settings(self.settings, run)
        if self.by_person:
            # What is typed as a setting is noted, too, for the commands that follow in the same update.
            given = self.overrides.get("sources")
            named = (
                self.settings.sources.urls if isinstance(given, dict) and "urls" in given else ()
            )
            return replace(made, typed=tuple(named))
        # What a run overrides is not what the settings allow.
        configured = Settings.load(file=self.config) if self.overrides else self.settings
        return replace(made, allowed=Places.of(configured))

    def write_result(
        self, status: str, report: Any = None, error: CorpusError | None = None
    ) -> None:
        if self.result is None:
            return
        from corpus.store.atomic import atomic_write

        outcome = {
            "status": status,
            "report": report,
            "error": error.to_dict() if error else None,
        }
        with atomic_write(self.result) as stream:
            stream.write(json.dumps(outcome).encode())

    def write_failure(self, error: CorpusError, status: str = "error") -> None:
        """Write what went wrong; if even that fails, say so: the exit status tells the most."""
        try:
            self.write_result(status, error=error)
        except (OSError, CorpusError) as fault:
            click.echo(f"This is in no result file. {fault}", err=True)


def _from_here(settings: Settings) -> Settings:
    """Settings whose relative paths begin at the working directory, as a person means them."""
    from corpus.places.places import absolute

    sources = settings.sources.model_copy(
        update={"urls": [absolute(url) for url in settings.sources.urls]}
    )
    feeds = [
        feed.model_copy(update={"place": absolute(feed.place)}) for feed in settings.verdicts.feeds
    ]
    verdicts = settings.verdicts.model_copy(update={"feeds": feeds})
    return settings.model_copy(update={"sources": sources, "verdicts": verdicts})
