"""Finds the samples of the corpus that verdicts name by md5 or sha1."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from corpus.store.snapshots import Parent
from corpus.verdicts.outcome import ByOtherHash
from corpus.verdicts.record import Verdict

_LENGTHS = {"md5": 32, "sha1": 40}


class OtherHashes:
    """The samples of the latest snapshot by their other hashes, read when they are first asked for."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent

    @cached_property
    def _samples(self) -> pa.Table:
        return self._parent.scan("samples", ["sha256", *_LENGTHS])

    def known(self, named: Sequence[ByOtherHash]) -> list[Verdict]:
        """The verdicts about samples that the corpus has, with their sha256."""
        found = []
        for column, length in _LENGTHS.items():
            some = [each for each in named if len(each.digest) == length]
            if not some:
                continue
            digests = pa.array([each.digest for each in some], pa.string())
            at = pc.index_in(digests, value_set=self._samples[column].combine_chunks())
            sha256s = self._samples["sha256"].take(at).to_pylist()
            found += [
                each.verdict._replace(sha256=sha256).identified()
                for each, sha256 in zip(some, sha256s, strict=True)
                if sha256
            ]
        return found
