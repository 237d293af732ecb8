"""EMBER2024's rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.verdicts.rule import Correlation, judge

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("detections", "engines", "verdict"),
    [
        (0, 0, "unknown"),
        (0, 70, "benign"),
        (1, 70, "unknown"),
        (4, 70, "unknown"),
        (5, 70, "malicious"),
        (70, 70, "malicious"),
    ],
)
def test_the_thresholds(detections: int, engines: int, verdict: str) -> None:
    assert judge(detections, engines, 5, 0)[0] == verdict


@given(st.integers(1, 100), st.data())
def test_confidence_grows_with_agreement_and_passes_the_default_minimum(
    engines: int, data: st.DataObject
) -> None:
    detections = data.draw(st.integers(0, engines))
    verdict, confidence = judge(detections, engines, 5, 0)
    if verdict == "unknown":
        assert confidence == 0
    else:
        assert 0.5 < confidence < 1
    if verdict == "malicious" and detections < engines:
        assert judge(detections + 1, engines, 5, 0)[1] > confidence


def test_engines_that_share_a_scanner_have_one_vote() -> None:
    correlation = Correlation([["A", "B"], ["C", "D"]])
    assert len(correlation.voters(["A", "B", "C", "E"])) == 3
    assert len(correlation.voters(["B", "D"])) == 2
