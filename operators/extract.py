"""Extract the feature vectors of a shard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operators.base import CorpusOperator, Value
from operators.values import flag, text, texts


class ExtractFeaturesOperator(CorpusOperator):
    """Extracts the vectors of a shard's samples, each file in a child of its own.

    :param shard: name of one shard, as `CollectSamplesOperator` returns them.
    :param feature_sets: names of feature sets; by default those of the settings.
    :param re_extract: extract again what the corpus has a vector of.
    """

    service = "extract"
    template_fields: Sequence[str] = (
        *CorpusOperator.template_fields,
        *("shard", "feature_sets", "re_extract"),
    )

    def __init__(
        self,
        *,
        shard: str | None = None,
        feature_sets: Sequence[str] | str | None = None,
        re_extract: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shard = shard
        self.feature_sets = feature_sets
        self.re_extract = re_extract

    def options(self) -> Mapping[str, Value]:
        return {
            "shard": text(self.shard),
            "feature_sets": texts(self.feature_sets, "feature_sets"),
            "re_extract": flag(self.re_extract, "re_extract"),
        }
