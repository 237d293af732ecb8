"""Take in verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operators.base import CorpusOperator, Value
from operators.templates import flag, texts


class ImportVerdictsOperator(CorpusOperator):
    """Appends the verdicts of manifests and VirusTotal reports that are new or have changed.

    :param urls: verdict files, or folders or fsspec URLs of them; by default those of the settings.
    :param rescan: read all files again, also those that have not changed.
    """

    service = "import-verdicts"
    template_fields: Sequence[str] = (*CorpusOperator.template_fields, "urls", "rescan")

    def __init__(
        self,
        *,
        urls: Sequence[str] | str | None = None,
        rescan: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.urls = urls
        self.rescan = rescan

    def options(self) -> Mapping[str, Value]:
        return {"urls": texts(self.urls, "urls"), "rescan": flag(self.rescan, "rescan")}
