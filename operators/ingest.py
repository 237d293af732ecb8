"""Take in the executables of a shard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operators.base import CorpusOperator, Value
from operators.values import text


class IngestSamplesOperator(CorpusOperator):
    """Reads the candidates of a shard, stores executables as blobs, and records their identity.

    :param shard: name of one shard, as `CollectSamplesOperator` returns them.
    """

    service = "ingest"
    template_fields: Sequence[str] = (*CorpusOperator.template_fields, "shard")

    def __init__(self, *, shard: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shard = shard

    def options(self) -> Mapping[str, Value]:
        return {"shard": text(self.shard)}
