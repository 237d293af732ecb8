"""From what antivirus engines said of a file to a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpus.rows.bad_value import BadValueError
from corpus.rows.dates import Dates
from corpus.settings import VerdictSettings
from corpus.verdicts import fields
from corpus.verdicts.families import FamilyNamer
from corpus.verdicts.record import MALICIOUS, UNKNOWN, VIRUSTOTAL, Verdict
from corpus.verdicts.rule import Correlation, judge
from corpus.verdicts.virustotal import NO_ENGINES, Answer, ScanReport
from corpus.verdicts.voice import Voice


class Reports:
    """Judges reports by EMBER2024's rule, the settings' thresholds and their groups of engines."""

    def __init__(self, settings: VerdictSettings, correlation: Correlation, namer: FamilyNamer):
        self.settings = settings
        self.correlation = correlation
        self.namer = namer

    def verdict_of(self, report: ScanReport, voice: Voice) -> Verdict:
        """The verdict of a VirusTotal report. Raises `BadValueError` if `voice` may not speak for VirusTotal."""
        reporter = voice.reporter(VIRUSTOTAL, VIRUSTOTAL)
        engines = len(self.correlation.voters(a.engine for a in report.answers))
        detections = len(self.correlation.voters(a.engine for a in report.answers if a.detected))
        verdict, confidence = judge(
            detections,
            engines,
            self.settings.malicious_threshold,
            self.settings.benign_threshold,
        )
        family, family_confidence = self.namer.name(report)
        return Verdict(
            sha256=report.sha256,
            verdict=verdict,
            reporter=reporter,
            reported_at=report.reported_at,
            confidence=confidence,
            family=family,
            family_confidence=family_confidence,
            source_kind=voice.kind(VIRUSTOTAL),
            detections=detections,
            engines=engines,
            first_seen=report.first_seen,
        )

    def labels_of(self, record: Mapping[str, Any], dates: Dates) -> dict[str, Any]:
        """A record of AVClass' simplified JSONL, `av_labels` as pairs of engine and name, as a row of a manifest.

        It does not tell which engines found nothing, so it says malicious or unknown, and never benign.
        """
        answers = [Answer(engine, True, name) for engine, name in _pairs(record.get("av_labels"))]
        detections = len(self.correlation.voters(answer.engine for answer in answers))
        if not detections:
            raise BadValueError("no engine gave a name.", NO_ENGINES, "av_labels")
        verdict, confidence = judge(detections, detections, self.settings.malicious_threshold, -1)
        hashes = [value if isinstance(value, str) else "" for value in map(record.get, _HASHES)]
        seen = dates.read_if_any(record.get("first_seen"))
        report = ScanReport(hashes[2], dates.latest, seen, answers, (hashes[0], hashes[1]))
        family, family_confidence = self.namer.name(report)
        return {
            **{name: record.get(name) for name in _HASHES},
            "verdict": MALICIOUS if verdict == MALICIOUS else UNKNOWN,
            "confidence": confidence,
            "family": family,
            "family_confidence": family_confidence,
            "reported_at": record.get("scan_date"),
            "first_seen": seen,
        }


_HASHES = ("md5", "sha1", "sha256")


def _pairs(value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, list):
        raise BadValueError("is not a list of engines and names.", field="av_labels")
    pairs = []
    for each in value:
        if not isinstance(each, list) or len(each) != 2 or not isinstance(each[0], str):
            raise BadValueError("is not a list of engines and names.", field="av_labels")
        if each[1] is not None and each[1] != "":
            pairs.append((fields.name(each[0]), fields.name(each[1])))
    return sorted(pairs)
