"""List what is new in the sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk.definitions.context import Context

from operators.base import CorpusOperator, Value
from operators.templates import flag, integer, text, texts


class CollectSamplesOperator(CorpusOperator):
    """Lists what is new in the sources, and cuts it into shards.

    Returns the names of the shards, to map other operators over; there may be none. The report is
    under the XCom key `report`.

    :param sources: folders, files or fsspec URLs; by default those of the settings.
    :param since: first day (YYYY-MM-DD) of the files to take, by first-seen where a manifest says it,
        else by the time of last modification.
    :param until: last day of the files to take.
    :param limit: take at most so many files, none for 0; the next update finds the rest.
    :param rescan: take files again that a snapshot has seen.
    :param re_extract: add shards of known samples that lack a vector of one of the feature sets.
    :param feature_sets: names of the feature sets that known samples shall have; by default those of
        the settings.
    """

    service = "collect"
    template_fields: Sequence[str] = (
        *CorpusOperator.template_fields,
        *("sources", "since", "until", "limit", "rescan", "re_extract", "feature_sets"),
    )

    def __init__(
        self,
        *,
        sources: Sequence[str] | str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | str | None = None,
        rescan: bool | str = False,
        re_extract: bool | str = False,
        feature_sets: Sequence[str] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sources = sources
        self.since = since
        self.until = until
        self.limit = limit
        self.rescan = rescan
        self.re_extract = re_extract
        self.feature_sets = feature_sets

    def options(self) -> Mapping[str, Value]:
        return {
            "sources": texts(self.sources, "sources"),
            "since": text(self.since),
            "until": text(self.until),
            "limit": integer(self.limit, "limit"),
            "rescan": flag(self.rescan, "rescan"),
            "re_extract": flag(self.re_extract, "re_extract"),
            "feature_sets": texts(self.feature_sets, "feature_sets"),
        }

    def result(self, report: dict[str, Any], context: Context) -> list[str]:
        shards: list[str] = report["shards"]
        return shards
