"""Which samples of a shard need vectors of which feature sets."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow.compute as pc

from corpus.errors import BadInputError
from corpus.sources.copied_files import MARK
from corpus.store.schemas import CANDIDATES, FEATURES_PREFIX
from corpus.store.staging import Update

WANTED = f"{MARK}/wanted"


def wanted_key(shard: str) -> str:
    return f"{WANTED}/{shard}.json"


def needed(update: Update, names: Sequence[str], shard: str) -> dict[str, tuple[str, ...]]:
    """Samples of a shard, each with those of the sets that it needs vectors of.

    Those are all sets for a new sample that the shard owns, and those that the parent has no vector of
    for a sample of the parent that `collect` has put into it again.
    """
    found: dict[str, tuple[str, ...]] = {}
    known = _known(update, shard)
    for name in names:
        have = update.parent.scan(FEATURES_PREFIX + name, ["sha256"], keys=known)["sha256"]
        for sha256 in set(known) - set(have.to_pylist()):
            found[sha256] = (*found.get(sha256, ()), name)
    if update.has("samples", shard):
        for sha256 in update.samples_of(shard)["sha256"].to_pylist():
            found[sha256] = tuple(names)
    return found


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


def shards_in_slice(update: Update) -> list[str]:
    """The shards whose samples are here to be extracted."""
    keys = update.store.list(WANTED)
    return [key.rsplit("/", 1)[-1].removesuffix(".json") for key in keys]


def needed_in_slice(update: Update, names: Sequence[str], shard: str) -> dict[str, tuple[str, ...]]:
    """As `needed`, which looked into the parent when the slice was taken.

    Raises `BadInputError` for a feature set that it was not taken for.
    """
    taken = update.store.read_json(wanted_key(shard))
    for name in names:
        if name not in taken["feature_sets"]:
            raise BadInputError(
                f"this slice was not taken for {name!r}.",
                field="feature_sets",
                hint=f"It was taken for {', '.join(taken['feature_sets'])}.",
            )
    left = {s: tuple(n for n in names if n in sets) for s, sets in taken["samples"].items()}
    return {sha256: sets for sha256, sets in left.items() if sets}
