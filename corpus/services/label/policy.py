"""The label policy: from all verdicts of a sample to its label. Pure functions; docs/reference/labels.md."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from corpus.errors import BadSettingError
from corpus.settings import Settings
from corpus.verdicts.record import MALICIOUS, UNKNOWN, VIRUSTOTAL, Verdict
from corpus.verdicts.rule import judge

# Part of the policy's digest: raise it when `resolve` gives other labels for the same verdicts, and
# the next update labels every sample again.
RULE = 2

NO_VERDICT = "no_verdict"
CONFLICT = "conflict"
UNDECIDED = "undecided"
TOO_YOUNG = "report_too_young"
LOW_CONFIDENCE = "low_confidence"
# The level of verdicts that no entry of the precedence names.
OTHER = "other"

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Policy:
    """The settings that decide labels; docs/reference/labels.md says how."""

    precedence: tuple[str, ...]
    min_confidence: float
    min_report_age_days: int
    min_family_confidence: float
    malicious_threshold: int
    benign_threshold: int
    reread_days: int
    rule: int = RULE

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """The policy of the settings. Raises `BadSettingError` if the thresholds overlap."""
        if settings.verdicts.benign_threshold >= settings.verdicts.malicious_threshold:
            raise BadSettingError(
                "must be below verdicts.malicious_threshold.", field="verdicts.benign_threshold"
            )
        return cls(
            precedence=tuple(settings.labels.precedence),
            min_confidence=settings.labels.min_confidence,
            min_report_age_days=settings.labels.min_report_age_days,
            min_family_confidence=settings.labels.min_family_confidence,
            malicious_threshold=settings.verdicts.malicious_threshold,
            benign_threshold=settings.verdicts.benign_threshold,
            reread_days=settings.verdicts.reread_days,
        )

    def record(self) -> dict[str, Any]:
        """The policy and its `digest` (sha256 of the rest as JSON), for a snapshot's manifest."""
        content = {**asdict(self), "precedence": list(self.precedence)}
        text = json.dumps(content, sort_keys=True)
        return {**content, "digest": hashlib.sha256(text.encode()).hexdigest()}

    @property
    def digest(self) -> str:
        """sha256 of the policy, in hex: if it changes, all samples are labelled again."""
        return str(self.record()["digest"])


class Label(NamedTuple):
    """What a sample is, as far as is known.

    `reason` starts with the level that decided (an entry of the precedence, or `other`), or, for
    `unknown`, with one of the reasons above; details follow after a colon. `verdict_ids`, sorted, are
    those that it rests on. `provisional`: it rests on a report made too soon after first-seen.
    """

    label: str
    family: str | None
    family_confidence: float | None
    confidence: float
    reason: str
    provisional: bool
    verdict_ids: tuple[str, ...]


class _Said(NamedTuple):
    """The newest verdict of one reporter, and why it does not count (None: it does)."""

    level: int
    verdict: Verdict
    refused: str | None


def resolve(
    verdicts: Sequence[Verdict], policy: Policy, first_seen: datetime | None = None
) -> Label:
    """The label of the sample that all these verdicts are about.

    `first_seen` is when the sample was first seen, as far as the corpus knows; the earliest that it or
    a verdict says is used. The order of the verdicts does not matter, nor does a repeated one.
    """
    if not verdicts:
        return _unknown(NO_VERDICT)
    seen = min(
        (time for time in (first_seen, *(v.first_seen for v in verdicts)) if time), default=None
    )
    said = [_judged(level, verdict, policy, seen) for level, verdict in _newest(verdicts, policy)]
    said.sort(key=lambda each: (each.level, each.verdict.reporter, each.verdict.verdict_id))
    counting = [each for each in said if each.refused is None]
    if not counting:
        # The first in precedence gives the reason; others refused for the same one are told too.
        reason = said[0].refused
        alike = [each.verdict for each in said if each.refused == reason]
        return _unknown(f"{reason}: {_told(alike)}", alike, _young(alike, policy, seen))
    deciding = [each.verdict for each in counting if each.level == counting[0].level]
    provisional = _young(deciding, policy, seen)
    label = deciding[0].verdict
    if any(verdict.verdict != label for verdict in deciding):
        return _unknown(f"{CONFLICT}: {_told(deciding)}", deciding, provisional)
    named = _family(counting, policy) if label == MALICIOUS else None
    resting = {verdict.verdict_id for verdict in deciding}
    if named:
        resting.add(named.verdict_id)
    return Label(
        label=label,
        family=named.family if named else None,
        family_confidence=named.family_confidence if named else None,
        confidence=max(verdict.confidence for verdict in deciding),
        reason=_decided(counting[0].level, deciding, policy),
        provisional=provisional,
        verdict_ids=tuple(sorted(resting)),
    )


def _newest(verdicts: Iterable[Verdict], policy: Policy) -> Iterable[tuple[int, Verdict]]:
    """The newest verdict of each level and reporter, by `reported_at`, then by the snapshot it came with.

    There are several if one reporter said different things at the same time.
    """
    newest: dict[tuple[int, str], tuple[tuple[datetime, int], dict[str, Verdict]]] = {}
    for verdict in verdicts:
        key = (_level(verdict, policy), verdict.reporter.casefold())
        age = (verdict.reported_at or _NEVER, verdict.sequence)
        best = newest.get(key)
        if best is None or age > best[0]:
            newest[key] = (age, {verdict.verdict_id: verdict})
        elif age == best[0]:
            best[1][verdict.verdict_id] = verdict
    for (level, _), (_, latest) in newest.items():
        for verdict in latest.values():
            yield level, verdict


def _level(verdict: Verdict, policy: Policy) -> int:
    said = {verdict.reporter.casefold(), verdict.source_kind.casefold()}
    for level, name in enumerate(policy.precedence):
        if name.casefold() in said:
            return level
    return len(policy.precedence)


def _judged(level: int, verdict: Verdict, policy: Policy, seen: datetime | None) -> _Said:
    refused = None
    if verdict.detections is not None and verdict.engines is not None:
        # The thresholds of now, not those of when the report was imported.
        value, confidence = judge(
            verdict.detections,
            verdict.engines,
            policy.malicious_threshold,
            policy.benign_threshold,
        )
        verdict = verdict._replace(verdict=value, confidence=confidence)
    if _younger(verdict, seen, policy.min_report_age_days):
        refused = TOO_YOUNG
    elif verdict.verdict == UNKNOWN:
        refused = UNDECIDED
    elif verdict.confidence < policy.min_confidence:
        refused = LOW_CONFIDENCE
    return _Said(level, verdict, refused)


def _younger(verdict: Verdict, seen: datetime | None, days: int) -> bool:
    """Whether a report was made less than so many days after the file was first seen."""
    is_report = verdict.source_kind == VIRUSTOTAL or verdict.detections is not None
    if not is_report or seen is None or verdict.reported_at is None or not days:
        return False
    return verdict.reported_at - seen < timedelta(days=days)


def _young(verdicts: Iterable[Verdict], policy: Policy, seen: datetime | None) -> bool:
    return any(_younger(verdict, seen, policy.reread_days) for verdict in verdicts)


def _family(counting: Sequence[_Said], policy: Policy) -> Verdict | None:
    """The verdict that names the family: of the first level with a name, the newest.

    Of several as new, the most confident; then the first by name. The deciding level comes first,
    but an analyst who names no family does not hide the name that a report gives.
    """
    named = [
        each
        for each in counting
        if each.verdict.verdict == MALICIOUS
        and each.verdict.family
        and (each.verdict.family_confidence or 0.0) >= policy.min_family_confidence
    ]
    if not named:
        return None
    level = min(each.level for each in named)
    candidates = [each.verdict for each in named if each.level == level]
    newest = max(verdict.reported_at or _NEVER for verdict in candidates)
    return min(
        (verdict for verdict in candidates if (verdict.reported_at or _NEVER) == newest),
        key=lambda v: (-(v.family_confidence or 0.0), v.family or "", v.verdict_id),
    )


def _decided(level: int, deciding: Sequence[Verdict], policy: Policy) -> str:
    name = policy.precedence[level] if level < len(policy.precedence) else OTHER
    reporters = sorted({verdict.reporter for verdict in deciding})
    alone = {reporter.casefold() for reporter in reporters} == {name.casefold()}
    return name if alone else f"{name}: {', '.join(reporters)}"


def _told(verdicts: Iterable[Verdict]) -> str:
    """Who said what, for a person to read."""
    return ", ".join(
        f"{v.reporter} {v.verdict}"
        + (f" ({v.detections} of {v.engines})" if v.detections is not None else "")
        for v in sorted(verdicts, key=lambda v: (v.reporter, v.verdict, v.verdict_id))
    )


def _unknown(reason: str, verdicts: Sequence[Verdict] = (), provisional: bool = False) -> Label:
    ids = tuple(sorted(verdict.verdict_id for verdict in verdicts))
    return Label(UNKNOWN, None, None, 0.0, reason, provisional, ids)
