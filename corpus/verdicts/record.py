"""One verdict: a piece of evidence about a sample, as a row of the `verdicts` table."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any, NamedTuple

MALICIOUS = "malicious"
BENIGN = "benign"
UNKNOWN = "unknown"
VALUES = (MALICIOUS, BENIGN, UNKNOWN)

MANIFEST = "manifest"
VIRUSTOTAL = "virustotal"
# Reporter and kind of what somebody typed into a form or a command line.
FORM = "form"


class Verdict(NamedTuple):
    """Who said what about `sha256`, and when.

    Times are in UTC; a verdict without `reported_at` counts as older than any that has one.
    `confidence` and `family_confidence` are from 0 to 1. Reports of VirusTotal carry the
    `detections` and `engines` that were counted; their verdict follows from these two and the
    thresholds of the settings. `file` and `row` (1 is the first) say where it was read, `sequence`
    in which snapshot it came to the corpus.
    """

    sha256: str
    verdict: str
    reporter: str
    reported_at: datetime | None = None
    confidence: float = 1.0
    family: str | None = None
    family_confidence: float | None = None
    source_kind: str = MANIFEST
    detections: int | None = None
    engines: int | None = None
    first_seen: datetime | None = None
    verdict_id: str = ""
    sequence: int = 0
    file: str = ""
    row: int = 0

    def identified(self, **where: Any) -> Verdict:
        """The same verdict with its `verdict_id`: sha256 of what it says, not of `where` it was read (file, row)."""
        said: list[object] = [self.sha256, self.source_kind, self.reporter]
        said += [_text(self.reported_at), _text(self.first_seen)]
        if self.detections is not None and self.engines is not None:
            # A changed threshold makes another label of the same evidence, not new evidence.
            said += [self.detections, self.engines]
        else:
            said += [self.verdict, self.confidence]
        said += [self.family, self.family_confidence]
        content = json.dumps(said, separators=(",", ":"))
        verdict_id = hashlib.sha256(content.encode()).hexdigest()
        return self._replace(verdict_id=verdict_id, **where)


def _text(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
