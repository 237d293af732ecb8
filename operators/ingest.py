"""Take in executables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operators.base import CorpusOperator, Value
from operators.values import texts


class IngestSamplesOperator(CorpusOperator):
    """Reads the candidates of some shards, stores executables as blobs, and records their identity.

    :param shards: shards to ingest, one or several; by default all of the update.
    """

    service = "ingest"
    template_fields: Sequence[str] = (*CorpusOperator.template_fields, "shards")

    def __init__(self, *, shards: Sequence[str] | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shards = shards

    def options(self) -> Mapping[str, Value]:
        return {"shards": texts(self.shards, "shards")}
