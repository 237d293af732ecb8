"""Stages out an extraction: a vector or a failure for each sample that needs one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from corpus.features import FeatureSet
from corpus.features.sandboxed import is_vector
from corpus.isolation.allowed import part_key
from corpus.isolation.parquet import MAX_BYTES, Decoder
from corpus.isolation.rows import FailureRow, VectorRow
from corpus.isolation.untrusted_folder import UntrustedFolder, refused
from corpus.sandbox import Outcome
from corpus.services.extract.shard_vectors import ShardVectors, failures_part
from corpus.services.inputs.base import Inputs
from corpus.store.schemas import FEATURES_PREFIX, TABLES, features_spec
from corpus.store.staging import Update


def read(
    folder: UntrustedFolder,
    update: Update,
    shard: str,
    sets: dict[str, FeatureSet],
    inputs: Inputs,
    decoder: Decoder,
) -> ShardVectors:
    """Read and check what an untrusted folder says of one shard; return it, ready to be written.

    `inputs` are those of the corpus: they say which samples need vectors. A vector that the corpus has
    staged already is kept, and one that nobody asked for is refused. Raises `BadInputError` for what no
    extraction makes.
    """
    wanted = inputs.pending(update, list(sets), shard)
    staged = ShardVectors(sets, update, shard, wanted)
    for name, feature_set in sets.items():
        left = {sha256 for sha256, names in wanted.items() if name in names}
        found = _Part(folder, update, shard, feature_set, decoder)
        for key, row, outcome in (*found.vectors(), *found.failures()):
            if outcome.key not in left:
                problem = "was not asked for, or is there twice."
                raise refused(key, f"{outcome.key} {problem}", row, "sha256")
            left.remove(outcome.key)
            if outcome.key not in staged.kept[name]:
                staged.add((name,), outcome)
        if left:
            raise refused(found.key, f"there is neither a vector nor a failure of {min(left)}.")
    return staged


class _Part:
    """What an untrusted folder has of one shard and one feature set."""

    def __init__(
        self,
        folder: UntrustedFolder,
        update: Update,
        shard: str,
        feature_set: FeatureSet,
        decoder: Decoder,
    ):
        self._folder = folder
        self._set = feature_set
        self._decoder = decoder
        self.key = part_key(update, FEATURES_PREFIX + feature_set.name, shard)
        self._failures_key = part_key(update, "failures", failures_part(feature_set.name, shard))

    def vectors(self) -> Iterator[tuple[str, int, Outcome]]:
        """Key, row and outcome of each row."""
        data = self._folder.read(self.key, MAX_BYTES)
        if data is None:
            return
        name, dim = self._set.name, self._set.dim
        columns = self._decoder.columns(self.key, data, features_spec(name, dim))
        vectors = columns.pop("vector")
        for number, row in self._decoder.models(self.key, columns, VectorRow):
            vector = vectors[number - 1]
            if not is_vector(vector, dim):
                problem = f"is not a vector of {dim} finite numbers."
                raise refused(self.key, problem, number, "vector")
            if hashlib.sha256(vector.astype("<f4").tobytes()).hexdigest() != row.vector_sha256:
                raise refused(self.key, "is not the vector's.", number, "vector_sha256")
            value = {name: {"vector": vector, "raw": row.raw}}
            yield self.key, number, Outcome(row.sha256, value)

    def failures(self) -> Iterator[tuple[str, int, Outcome]]:
        """Key, row and outcome of each row."""
        data = self._folder.read(self._failures_key, MAX_BYTES)
        if data is None:
            return
        columns = self._decoder.columns(self._failures_key, data, TABLES["failures"])
        for number, row in self._decoder.models(self._failures_key, columns, FailureRow):
            if (row.service, row.feature_set) != ("extract", self._set.name):
                raise refused(self._failures_key, "is of another service.", number, "service")
            yield (
                self._failures_key,
                number,
                Outcome(
                    row.sha256, None, row.reason, row.detail, row.elapsed_s, row.peak_memory_bytes
                ),
            )
