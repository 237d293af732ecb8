"""List what is new in the sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk.configuration import conf
from airflow.sdk.definitions.context import Context

from operators.base import CorpusOperator, Value
from operators.values import flag, integer, text, texts


class CollectSamplesOperator(CorpusOperator):
    """Lists what is new in the sources, and cuts it into shards.

    Returns the names of the shards, to map other operators over; there may be none. The report is
    under the XCom key `report`.

    :param sources: folders, files or fsspec URLs; by default those of the settings.
    :param since: take files last changed on this day (YYYY-MM-DD) or later.
    :param until: take files last changed on this day or earlier.
    :param file_types: take these types of executables only, such as `pe` or `elf`.
    :param limit: take at most so many files.
    :param rescan: read files again that an earlier update has seen.
    """

    service = "collect"
    template_fields: Sequence[str] = (
        *CorpusOperator.template_fields,
        *("sources", "since", "until", "file_types", "limit", "rescan"),
    )

    def __init__(
        self,
        *,
        sources: Sequence[str] | str | None = None,
        since: str | None = None,
        until: str | None = None,
        file_types: Sequence[str] | str | None = None,
        limit: int | str | None = None,
        rescan: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sources = sources
        self.since = since
        self.until = until
        self.file_types = file_types
        self.limit = limit
        self.rescan = rescan

    def options(self) -> Mapping[str, Value]:
        return {
            "sources": texts(self.sources, "sources"),
            "since": text(self.since),
            "until": text(self.until),
            "file_types": texts(self.file_types, "file_types"),
            "limit": integer(self.limit, "limit"),
            "rescan": flag(self.rescan, "rescan"),
        }

    def result(self, report: dict[str, Any], context: Context) -> list[str]:
        shards: list[str] = report["shards"]
        return shards
