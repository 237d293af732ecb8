"""The global options of one call of the command, and what follows from them.

Every help text loads this module, so what reads data is imported where it is first needed.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corpus.contract.run_identity import parse_identity
from corpus.errors import CorpusError

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

    @cached_property
    def settings(self) -> Settings:
        from corpus.settings import Settings

        return Settings.load(self.overrides, file=self.config)

    @cached_property
    def context(self) -> Context:
        """Settings and store, with the identity of the run that the environment tells of."""
        from corpus.services.context import Context

        run = parse_identity(os.environ.get(RUN_VARIABLE, "{}"), RUN_VARIABLE)
        return Context.from_settings(self.settings, run)

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
