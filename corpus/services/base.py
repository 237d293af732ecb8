"""What every service has in common: a typed request, a context, a typed report."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

# Airflow reads the requests at every parse of the DAGs, and has no use for the store's libraries.
if TYPE_CHECKING:
    from corpus.settings import Settings
    from corpus.store.root import Store
    from corpus.store.updates import Update


class Request(BaseModel):
    """What a service is asked to do; each field is an option of its command."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    update: str | None = Field(
        None, description="Id of the update to work in; a new one is begun where it is left out."
    )


class Report(BaseModel):
    """What a service has done; small, and the same for the same work."""

    model_config = ConfigDict(extra="forbid")

    update: str = Field(description="Id of the update.")


class Progress:
    """Says on stderr how far long work is: at most one line each `every` seconds."""

    def __init__(self, every: float = 2.0, write: Callable[[str], Any] | None = None):
        self.every = every
        self._write = write or (lambda line: print(line, file=sys.stderr, flush=True))
        self._last = 0.0

    def say(self, text: str) -> None:
        self._write(text)

    def step(self, what: str, done: int, total: int | None = None) -> None:
        now = time.monotonic()
        if now - self._last >= self.every:
            self._last = now
            self._write(f"{what}: {done}" + (f" of {total}" if total is not None else ""))


@dataclass(frozen=True)
class Context:
    """What a service works with: settings, store, progress, and the identity of the run.

    `service` is the one at work: the images that the run tells of are recorded as its own.
    """

    settings: Settings
    store: Store
    progress: Progress = field(default_factory=Progress)
    run: Mapping[str, Any] = field(default_factory=dict)
    service: str | None = None

    @classmethod
    def from_settings(cls, settings: Settings, run: Mapping[str, Any] | None = None) -> Context:
        from corpus.store.root import Store

        options = {name: value.get_secret_value() for name, value in settings.store.options.items()}
        return cls(settings, Store(settings.store.root, options), run=run or {})

    def begin(self, request: Request) -> Update:
        """The update that a request names, begun where it is new."""
        from corpus import images
        from corpus.store.updates import Update, new_update_id

        who = images.identity(self.run)
        return self._begun(Update.open(self.store, request.update or new_update_id(), who))

    def resume(self, update_id: str) -> Update:
        from corpus.store.updates import existing

        return self._begun(existing(self.store, update_id))

    def _begun(self, update: Update) -> Update:
        from corpus import images

        if self.service:
            images.record(update, self.service, self.run)
        return update
