"""What a row of a verdict file comes to, beside a verdict."""

from __future__ import annotations

from typing import NamedTuple

from corpus.rows.row import BadRow
from corpus.verdicts.record import Verdict


class NoReport(NamedTuple):
    """A record that says that there is no report: a file that VirusTotal does not know, an exhausted quota."""

    number: int


class ByOtherHash(NamedTuple):
    """A verdict about the file that has this md5 or sha1; its `sha256` is empty until the corpus is asked."""

    digest: str
    verdict: Verdict


Outcome = Verdict | ByOtherHash | NoReport | BadRow
