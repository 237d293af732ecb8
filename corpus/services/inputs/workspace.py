"""The input of a service that works in a workspace."""

from __future__ import annotations

from collections.abc import Sequence

from corpus.errors import BadInputError
from corpus.places.places import Places
from corpus.services.inputs.base import Pending
from corpus.services.inputs.copied_files import CopiedFiles
from corpus.services.inputs.layout import PENDING, TASK, pending_key
from corpus.sources.files import Files
from corpus.store.object_store import Store
from corpus.store.staging import Update


def is_workspace(store: Store) -> bool:
    """Return whether a store is a folder that `stage_in` has made a workspace."""
    return store.is_local and store.exists(TASK)


class WorkspaceInputs:
    """Reads what `stage_in` looked up in the corpus and copied from the sources."""

    def shards_to_ingest(self, update: Update) -> list[str]:
        """Return the names of the shards whose candidates were copied, sorted."""
        return update.shards()

    def shards_to_extract(self, update: Update) -> list[str]:
        """Return the names of the shards whose samples were copied, sorted."""
        keys = update.store.list(PENDING)
        return [key.rsplit("/", 1)[-1].removesuffix(".json") for key in keys]

    def pending(self, update: Update, feature_sets: Sequence[str], shard: str) -> Pending:
        """Return what `CorpusInputs.pending` gave at the time of `stage_in`, for these sets.

        Raises `BadInputError` for a feature set that the workspace was not staged in for.
        """
        listed = update.store.read_json(pending_key(shard))
        for name in feature_sets:
            if name not in listed["feature_sets"]:
                raise BadInputError(
                    f"this workspace was not staged in for {name!r}.",
                    field="feature_sets",
                    hint=f"It was staged in for {', '.join(listed['feature_sets'])}.",
                )
        left = {
            sha256: tuple(name for name in feature_sets if name in sets)
            for sha256, sets in listed["samples"].items()
        }
        return {sha256: sets for sha256, sets in left.items() if sets}

    def files(self, update: Update, places: Places) -> Files:
        """Return access to the copies of the source files, under the locations of the originals."""
        return CopiedFiles(update.store)
