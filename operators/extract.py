"""Extract feature vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operators.base import CorpusOperator, Value
from operators.templates import integer, texts


class ExtractFeaturesOperator(CorpusOperator):
    """Extracts the vectors of an update's new samples, each file in a child with limits.

    A file that crashes, hangs or is a bomb costs a row of `failures`, not the task.

    :param shards: shards to extract, one or several; by default all of the update.
    :param feature_sets: names of feature sets; by default those of the settings.
    :param jobs: child processes at a time; by default as in the settings.
    """

    service = "extract"
    template_fields: Sequence[str] = (
        *CorpusOperator.template_fields,
        *("shards", "feature_sets", "jobs"),
    )

    def __init__(
        self,
        *,
        shards: Sequence[str] | str | None = None,
        feature_sets: Sequence[str] | str | None = None,
        jobs: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shards = shards
        self.feature_sets = feature_sets
        self.jobs = jobs

    def options(self) -> Mapping[str, Value]:
        return {
            "shards": texts(self.shards, "shards"),
            "feature_sets": texts(self.feature_sets, "feature_sets"),
            "jobs": integer(self.jobs, "jobs"),
        }
