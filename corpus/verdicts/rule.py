"""EMBER2024's rule: from the answers of antivirus engines to a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from corpus.verdicts.record import BENIGN, MALICIOUS, UNKNOWN


class Correlation:
    """Which engines share a scanner, and so have one vote between them."""

    def __init__(self, groups: Sequence[Sequence[str]]):
        self._voter = {engine: group[0] for group in reversed(groups) for engine in group}

    def voter(self, engine: str) -> str:
        return self._voter.get(engine, engine)

    def voters(self, engines: Iterable[str]) -> set[str]:
        """Those who vote for the given engines: one for all that share a scanner."""
        return {self.voter(engine) for engine in engines}


def judge(
    detections: int, engines: int, malicious_threshold: int, benign_threshold: int
) -> tuple[str, float]:
    """Verdict and confidence of a report in which `detections` of `engines` voters detected.

    From `malicious_threshold` detections on it is malicious, up to `benign_threshold` benign, and
    between the two, or without any engine, unknown. The confidence of unknown is 0; otherwise it is
    0.5 + 0.5 * (agreeing + 1) / (engines + 2), where agreeing engines are those that detected
    (malicious) or that did not (benign): Laplace's rule of succession, so that few engines count for
    less, moved to the upper half, since the thresholds have decided already.
    """
    if engines == 0:
        return UNKNOWN, 0.0
    if detections >= malicious_threshold:
        return MALICIOUS, 0.5 + 0.5 * (detections + 1) / (engines + 2)
    if detections <= benign_threshold:
        return BENIGN, 0.5 + 0.5 * (engines - detections + 1) / (engines + 2)
    return UNKNOWN, 0.0
