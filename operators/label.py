"""Resolve verdicts into labels."""

from __future__ import annotations

from collections.abc import Mapping

from operators.base import CorpusOperator, Value


class ResolveLabelsOperator(CorpusOperator):
    """Resolves the verdicts of each sample that is new, or has a new verdict, into a label.

    The policy is `settings`: `labels.*` and `verdicts.*`.
    """

    service = "label"

    def options(self) -> Mapping[str, Value]:
        return {}
