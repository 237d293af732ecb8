"""Assign samples to splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operators.base import CorpusOperator, Value
from operators.templates import flag


class SplitSamplesOperator(CorpusOperator):
    """Assigns new samples to train, validation and test: by time, no group on two sides.

    :param resplit: assign all samples again; samples of the past may move to another split.
    """

    service = "split"
    template_fields: Sequence[str] = (*CorpusOperator.template_fields, "resplit")

    def __init__(self, *, resplit: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.resplit = resplit

    def options(self) -> Mapping[str, Value]:
        return {"resplit": flag(self.resplit, "resplit")}
