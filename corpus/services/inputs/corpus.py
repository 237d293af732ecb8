"""The input of a service that works in the whole corpus."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow.compute as pc

from corpus.places.places import Places
from corpus.services.inputs.base import Pending
from corpus.sources.files import Files
from corpus.store.schemas import CANDIDATES, FEATURES_PREFIX
from corpus.store.staging import Update


class CorpusInputs:
    """Looks into the update's staging area, the snapshot that it builds on, and the sources themselves."""

    def shards_to_ingest(self, update: Update) -> list[str]:
        """Return the names of the shards that `collect` has cut, sorted."""
        return update.shards()

    def shards_to_extract(self, update: Update) -> list[str]:
        """Return the names of the shards that have candidates or staged samples, sorted."""
        names = (key.rsplit("/", 1)[-1].removesuffix(".parquet") for key in update.parts("samples"))
        return sorted({*update.shards(), *names})

    def pending(self, update: Update, feature_sets: Sequence[str], shard: str) -> Pending:
        """Return the samples of a shard, each with those of the sets that it needs vectors of.

        A new sample that the shard owns needs all sets. A sample of the parent that `collect` has put into
        the shard again needs those that the parent has no vector of.
        """
        found: dict[str, tuple[str, ...]] = {}
        known = _known(update, shard)
        for name in feature_sets:
            have = update.parent.scan(FEATURES_PREFIX + name, ["sha256"], keys=known)["sha256"]
            for sha256 in set(known) - set(have.to_pylist()):
                found[sha256] = (*found.get(sha256, ()), name)
        if update.has("samples", shard):
            for sha256 in update.samples_of(shard)["sha256"].to_pylist():
                found[sha256] = tuple(feature_sets)
        return found

    def files(self, update: Update, places: Places) -> Files:
        """Return access to the sources; remote ones may share the options of the corpus's storage."""
        return Files.beside(update.store, places)


def _known(update: Update, shard: str) -> list[str]:
    """Samples of the parent in this shard and in none before it."""
    if not update.has(CANDIDATES.name, shard):
        return []
    own = update.read(CANDIDATES.name, ["known_sha256"], shard)["known_sha256"]
    own = pc.unique(own.drop_null())
    earlier = [
        key for key in update.parts(CANDIDATES.name) if key.rsplit("/", 1)[-1] < f"{shard}.parquet"
    ]
    if earlier and len(own):
        seen = update.store.dataset(earlier, CANDIDATES.schema).to_table(
            columns=["known_sha256"], filter=pc.field("known_sha256").isin(own)
        )["known_sha256"]
        own = own.filter(pc.invert(pc.is_in(own, value_set=seen.combine_chunks())))
    known: list[str] = own.to_pylist()
    return known
