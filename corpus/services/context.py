"""What a service works with, and the update it works in."""

from __future__ import annotations

from dataclasses import dataclass, field

from corpus.contract.base import Request
from corpus.contract.progress import Progress
from corpus.contract.run_identity import RunIdentity
from corpus.settings import Settings
from corpus.store import provenance
from corpus.store.object_store import Store
from corpus.store.staging import Update, existing
from corpus.store.update_record import new_update_id


@dataclass(frozen=True)
class Context:
    """What a service works with: settings, store, progress, and the identity of the run.

    `service` is the one at work: the images that the run tells of are recorded as its own.
    """

    settings: Settings
    store: Store
    progress: Progress = field(default_factory=Progress)
    run: RunIdentity = field(default_factory=RunIdentity)
    service: str | None = None

    @classmethod
    def from_settings(cls, settings: Settings, run: RunIdentity | None = None) -> Context:

        options = {name: value.get_secret_value() for name, value in settings.store.options.items()}
        return cls(settings, Store(settings.store.root, options), run=run or {})

    def begin(self, request: Request) -> Update:
        """The update that a request names, begun where it is new."""

        who = provenance.identity(self.run)
        return self._begun(Update.open(self.store, request.update or new_update_id(), who))

    def resume(self, update_id: str) -> Update:

        return self._begun(existing(self.store, update_id))

    def _begun(self, update: Update) -> Update:

        if self.service:
            provenance.record(update, self.service, self.run)
        return update
