"""Assign samples to splits."""

from __future__ import annotations

from collections.abc import Mapping

from operators.base import CorpusOperator, Value


class SplitSamplesOperator(CorpusOperator):
    """Assigns new samples to train, validation and test: by time, no group on two sides."""

    service = "split"

    def options(self) -> Mapping[str, Value]:
        return {}
