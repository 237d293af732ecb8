"""The questions that a service may ask about its input, wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from corpus.places.places import Places
from corpus.sources.files import Files
from corpus.store.staging import Update

# sha256 of each sample, with the names of the feature sets that it needs vectors of.
Pending = Mapping[str, Sequence[str]]


class Inputs(Protocol):
    """Shards, pending samples and source files of an update."""

    def shards_to_ingest(self, update: Update) -> list[str]:
        """Return the names of the shards whose candidates can be ingested, sorted."""

    def shards_to_extract(self, update: Update) -> list[str]:
        """Return the names of the shards whose samples can be extracted, sorted."""

    def pending(self, update: Update, feature_sets: Sequence[str], shard: str) -> Pending:
        """Return the samples of a shard that need vectors, each with the sets that it needs them of.

        A sample that needs none is left out. Raises `BadInputError` if these feature sets were not
        prepared for.
        """

    def files(self, update: Update, places: Places) -> Files:
        """Return access to the source files that the update's candidates name, if `places` allow them."""
