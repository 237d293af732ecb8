"""Judge an update."""

from __future__ import annotations

from collections.abc import Mapping

from operators.base import CorpusOperator, Value


class ValidateUpdateOperator(CorpusOperator):
    """Judges a staged update by its gates; fails where one blocks, naming it and its number."""

    service = "validate"

    def options(self) -> Mapping[str, Value]:
        return {}
