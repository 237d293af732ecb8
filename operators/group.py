"""Find near-duplicates."""

from __future__ import annotations

from collections.abc import Mapping

from operators.base import CorpusOperator, Value


class GroupSamplesOperator(CorpusOperator):
    """Puts new samples into groups of near-duplicates, by TLSH distance and import hash."""

    service = "group"

    def options(self) -> Mapping[str, Value]:
        return {}
