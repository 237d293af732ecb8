"""Resolve verdicts into labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operators.base import CorpusOperator, Value
from operators.templates import flag


class ResolveLabelsOperator(CorpusOperator):
    """Resolves the verdicts of samples that are new, or have new verdicts, into labels.

    The policy is in the settings: `labels.*` and `verdicts.*`.

    :param relabel: resolve all samples again, even if nothing seems to have changed.
    """

    service = "label"
    template_fields: Sequence[str] = (*CorpusOperator.template_fields, "relabel")

    def __init__(self, *, relabel: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.relabel = relabel

    def options(self) -> Mapping[str, Value]:
        return {"relabel": flag(self.relabel, "relabel")}
