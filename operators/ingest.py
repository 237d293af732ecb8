"""Take in executables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operators.base import CorpusOperator, Value
from operators.templates import texts


class IngestSamplesOperator(CorpusOperator):
    """Reads the candidates of some shards, stores executables as blobs, and records their identity.

    :param shards: shards to ingest, one or several; by default all of the update.
    :param file_types: types of executables to take, such as `pe` or `elf`; by default all. Files with
        others only are left for another update.
    """

    service = "ingest"
    template_fields: Sequence[str] = (*CorpusOperator.template_fields, "shards", "file_types")

    def __init__(
        self,
        *,
        shards: Sequence[str] | str | None = None,
        file_types: Sequence[str] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shards = shards
        self.file_types = file_types

    def options(self) -> Mapping[str, Value]:
        return {
            "shards": texts(self.shards, "shards"),
            "file_types": texts(self.file_types, "file_types"),
        }
