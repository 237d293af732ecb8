"""What a service works with, and the update it works in."""

from __future__ import annotations

from dataclasses import dataclass, field

from corpus.contract.base import Request
from corpus.contract.progress import Progress
from corpus.contract.run_identity import RunIdentity
from corpus.errors import BadInputError
from corpus.services.inputs.base import Inputs
from corpus.services.inputs.corpus import CorpusInputs
from corpus.services.inputs.workspace import WorkspaceInputs, is_workspace
from corpus.settings import Settings
from corpus.store import provenance
from corpus.store.object_store import Store
from corpus.store.staging import Update, existing
from corpus.store.update_record import new_update_id


@dataclass(frozen=True)
class Context:
    """What a service works with: settings, store, progress, the identity of the run, and its input.

    `service` is the one at work: the images that the run tells of are recorded as its own.
    """

    settings: Settings
    store: Store
    progress: Progress = field(default_factory=Progress)
    run: RunIdentity = field(default_factory=RunIdentity)
    service: str | None = None
    inputs: Inputs = field(default_factory=CorpusInputs)

    @classmethod
    def from_settings(cls, settings: Settings, run: RunIdentity | None = None) -> Context:
        """Return the context of the corpus, or of the workspace, that `store.root` names.

        Only here is it asked which of the two it is. A workspace is lost with its task, so nothing in it
        waits for the disk.
        """
        store = Store(settings.store.root, settings.store.revealed())
        if is_workspace(store):
            return cls(settings, store.fleeting(), run=run or {}, inputs=WorkspaceInputs())
        return cls(settings, store, run=run or {})

    def begin(self, request: Request) -> Update:
        """Return the update that a request names; begin it if it is new."""
        who = provenance.identity(self.run)
        return self._begun(Update.open(self.store, request.update or new_update_id(), who))

    def resume(self, request: Request) -> Update:
        """Return the update that a request names, which was begun before.

        Raises `BadInputError` if the request names none, and `NotFoundError` if there is no such update.
        """
        if request.update is None:
            raise BadInputError(
                "an update is needed.",
                field="update",
                hint="`collect` begins one and prints its id.",
            )
        return self._begun(existing(self.store, request.update))

    def _begun(self, update: Update) -> Update:
        if self.service:
            provenance.record(update, self.service, self.run)
        return update
