"""What a service works with, and the update it works in."""

from __future__ import annotations

from dataclasses import dataclass, field

from corpus.contract.base import Request
from corpus.contract.progress import Progress
from corpus.contract.run_identity import RunIdentity
from corpus.errors import BadInputError
from corpus.places.places import Places
from corpus.services.inputs.base import Inputs
from corpus.services.inputs.corpus import CorpusInputs
from corpus.services.inputs.workspace import WorkspaceInputs, is_workspace
from corpus.settings import Settings
from corpus.sources.files import Files
from corpus.store import provenance
from corpus.store.object_store import Store
from corpus.store.staging import Update, existing
from corpus.store.update_record import new_update_id


def typed_key(update_id: str) -> str:
    """Return the key of the list of places that a person has typed for an update."""
    return f"staging/{update_id}/typed.json"


@dataclass(frozen=True)
class Context:
    """What a service works with: settings, store, progress, the identity of the run, and its input.

    `service` is the one at work: the images that the run tells of are recorded as its own. `allowed`
    are the places that may be read, those of the settings if it is None. `typed` are the places that a
    person has typed at a command line of their own, and None if no person has: an operator's commands
    and programs have what the settings allow, and nothing else.
    """

    settings: Settings
    store: Store
    progress: Progress = field(default_factory=Progress)
    run: RunIdentity = field(default_factory=RunIdentity)
    service: str | None = None
    inputs: Inputs = field(default_factory=CorpusInputs)
    allowed: Places | None = None
    typed: tuple[str, ...] | None = None

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

    @property
    def places(self) -> Places:
        """What may be read beside the store."""
        return (self.allowed or Places.of(self.settings)).adding(self.typed or ())

    def files(self, update: Update) -> Files:
        """Return access to the source files that the update's candidates name.

        Of an update whose sources a person has typed, that person's next commands read them, too.
        """
        places = self.places
        key = typed_key(update.id)
        if self.typed is not None and update.store.exists(key):
            places = places.adding(map(str, update.store.read_json(key)))
        return self.inputs.files(update, places)

    def keep_typed(self, update: Update) -> None:
        """Note the places that were typed, for the commands that follow in the same update."""
        if self.typed:
            update.store.write_json(typed_key(update.id), list(self.typed))

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
