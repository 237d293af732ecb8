"""Judge an update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operators.base import CorpusOperator, Value
from operators.templates import flag


class ValidateUpdateOperator(CorpusOperator):
    """Judges a staged update by its gates; fails if one blocks, and names it and its number.

    :param strict: a warning blocks, too.
    """

    service = "validate"
    template_fields: Sequence[str] = (*CorpusOperator.template_fields, "strict")

    def __init__(self, *, strict: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.strict = strict

    def options(self) -> Mapping[str, Value]:
        return {"strict": flag(self.strict, "strict")}
