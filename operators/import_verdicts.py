"""Take in verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operators.base import CorpusOperator, Value
from operators.values import texts


class ImportVerdictsOperator(CorpusOperator):
    """Appends the verdicts of manifests and VirusTotal reports that are new or have changed.

    :param verdicts: files, folders or fsspec URLs; by default those of the settings.
    """

    service = "import-verdicts"
    template_fields: Sequence[str] = (*CorpusOperator.template_fields, "verdicts")

    def __init__(self, *, verdicts: Sequence[str] | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.verdicts = verdicts

    def options(self) -> Mapping[str, Value]:
        return {"verdicts": texts(self.verdicts, "verdicts")}
