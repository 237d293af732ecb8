"""The label policy, case by case and by its properties."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import BadSettingError
from corpus.services.label.policy import Label, Policy, resolve
from corpus.settings import Settings
from corpus.verdicts.record import Verdict

pytestmark = pytest.mark.fast

SHA = "ab" * 32
DAY = datetime(2024, 6, 1, tzinfo=UTC)
POLICY = Policy.of(Settings())


def said(reporter: str, verdict: str, day: int | None = 0, **more: Any) -> Verdict:
    when = None if day is None else DAY + timedelta(days=day)
    return Verdict(SHA, verdict, reporter, when, **more).identified()


def report(detections: int, engines: int = 70, day: int = 0, **more: Any) -> Verdict:
    # What the file said at its import does not matter: the policy judges the counts.
    return said("virustotal", "unknown", day, source_kind="virustotal", confidence=0.0,
                detections=detections, engines=engines, **more)  # fmt: skip


def short(label: Label) -> tuple[str, str]:
    return label.label, label.reason


class TestPrecedence:
    def test_no_verdict(self) -> None:
        assert resolve([], POLICY) == Label("unknown", None, None, 0.0, "no_verdict", False, ())

    def test_the_first_level_that_has_something_to_say_decides(self) -> None:
        verdicts = [report(0), said("feed", "malicious"), said("analyst", "benign")]
        assert short(resolve(verdicts, POLICY)) == ("benign", "analyst")
        assert short(resolve(verdicts[:2], POLICY)) == ("malicious", "manifest: feed")
        assert short(resolve(verdicts[:1], POLICY)) == ("benign", "virustotal")

    def test_who_and_kind_both_name_levels_and_the_others_come_last(self) -> None:
        policy = replace(POLICY, precedence=("bob", "virustotal"))
        assert short(resolve([report(9), said("ann", "benign")], policy)) == (
            "malicious",
            "virustotal",
        )
        assert short(resolve([report(9), said("bob", "benign")], policy)) == ("benign", "bob")
        assert short(resolve([said("ann", "benign")], policy)) == ("benign", "other: ann")

    def test_an_unknown_verdict_leaves_the_word_to_the_others(self) -> None:
        verdicts = [said("feed", "unknown"), said("other-feed", "malicious")]
        assert short(resolve(verdicts, POLICY)) == ("malicious", "manifest: other-feed")
        label = resolve([report(3), said("analyst", "unknown")], POLICY)
        assert short(label) == (
            "unknown",
            "undecided: analyst unknown, virustotal unknown (3 of 70)",
        )
        assert len(label.verdict_ids) == 2


class TestWithinALevel:
    def test_the_newest_of_each_counts(self) -> None:
        verdicts = [said("feed", "malicious", 0), said("feed", "benign", 1)]
        label = resolve(verdicts, POLICY)
        assert short(label) == ("benign", "manifest: feed")
        assert label.verdict_ids == (verdicts[1].verdict_id,)
        assert short(resolve([report(9, day=0), report(0, day=30)], POLICY))[0] == "benign"

    def test_a_verdict_without_a_time_is_older_than_any(self) -> None:
        verdicts = [said("feed", "benign", None), said("feed", "malicious", -9999)]
        assert resolve(verdicts, POLICY).label == "malicious"

    def test_a_later_import_corrects_what_was_said_of_the_same_time(self) -> None:
        verdicts = [
            said("feed", "malicious", sequence=1),
            said("feed", "benign", sequence=2),
        ]
        assert resolve(verdicts, POLICY).label == "benign"

    def test_a_newest_unknown_takes_back_what_was_said(self) -> None:
        assert resolve(
            [said("feed", "malicious", 0), said("feed", "unknown", 1)], POLICY
        ).label == ("unknown")

    def test_disagreement_is_unknown_and_says_who_said_what(self) -> None:
        verdicts = [said("b", "malicious"), said("a", "benign"), report(9)]
        label = resolve(verdicts, POLICY)
        assert short(label) == ("unknown", "conflict: a benign, b malicious")
        assert label.verdict_ids == tuple(sorted(v.verdict_id for v in verdicts[:2]))
        assert (label.confidence, label.family) == (0.0, None)

    def test_one_that_says_two_things_at_once_is_in_conflict(self) -> None:
        verdicts = [said("a", "malicious"), said("a", "benign")]
        assert resolve(verdicts, POLICY).reason == "conflict: a benign, a malicious"

    def test_agreement_has_the_confidence_of_the_most_confident(self) -> None:
        verdicts = [said("a", "benign", confidence=0.6), said("b", "benign", confidence=0.8)]
        label = resolve(verdicts, POLICY)
        assert (label.reason, label.confidence) == ("manifest: a, b", 0.8)


class TestWhatDoesNotCount:
    def test_low_confidence(self) -> None:
        verdict = said("feed", "malicious", confidence=0.4)
        assert short(resolve([verdict], POLICY)) == ("unknown", "low_confidence: feed malicious")
        assert resolve([verdict, report(0)], POLICY).label == "benign"

    def test_a_report_that_is_too_young(self) -> None:
        policy = replace(POLICY, min_report_age_days=30)
        young = report(9, first_seen=DAY - timedelta(days=29))
        old = report(9, first_seen=DAY - timedelta(days=30))
        assert short(resolve([young], policy)) == (
            "unknown",
            "report_too_young: virustotal malicious (9 of 70)",
        )
        assert resolve([old], policy).label == "malicious"
        # Nobody knows how old a file is that was never first seen: its reports count.
        assert resolve([report(9)], policy).label == "malicious"
        assert resolve([report(9)], policy, first_seen=DAY).label == "unknown"

    def test_no_engine_says_nothing(self) -> None:
        assert short(resolve([report(0, 0)], POLICY)) == (
            "unknown",
            "undecided: virustotal unknown (0 of 0)",
        )


class TestProvisional:
    @pytest.mark.parametrize(("days", "provisional"), [(0, True), (89, True), (90, False)])
    def test_until_the_reread_age(self, days: int, provisional: bool) -> None:
        assert resolve([report(9, day=days)], POLICY, DAY).provisional is provisional
        assert resolve([report(2, day=days)], POLICY, DAY).provisional is provisional

    def test_only_where_the_label_rests_on_the_report(self) -> None:
        assert not resolve([report(9), said("feed", "malicious")], POLICY, DAY).provisional


class TestFamily:
    def test_of_the_newest_deciding_verdict_that_has_one(self) -> None:
        verdicts = [
            said("a", "malicious", 0, family="zbot", family_confidence=1.0),
            said("b", "malicious", 1, family="emotet", family_confidence=0.4),
            said("c", "malicious", 2),
        ]
        label = resolve(verdicts, POLICY)
        assert (label.family, label.family_confidence) == ("emotet", 0.4)
        assert resolve(verdicts, replace(POLICY, min_family_confidence=0.5)).family == "zbot"

    def test_of_two_as_new_the_more_confident_then_the_first_by_name(self) -> None:
        sure = said("a", "malicious", family="zbot", family_confidence=0.9)
        less = said("b", "malicious", family="emotet", family_confidence=0.8)
        same = said("c", "malicious", family="agent", family_confidence=0.9)
        assert resolve([sure, less], POLICY).family == "zbot"
        assert resolve([sure, less, same], POLICY).family == "agent"

    def test_a_lower_level_names_what_the_deciding_one_does_not(self) -> None:
        verdicts = [said("analyst", "malicious"), report(9, family="emotet", family_confidence=0.3)]
        label = resolve(verdicts, POLICY)
        assert (label.reason, label.family) == ("analyst", "emotet")
        assert len(label.verdict_ids) == 2

    def test_what_is_benign_has_none(self) -> None:
        verdicts = [said("analyst", "benign", family="emotet"), report(9, family="emotet")]
        assert resolve(verdicts, POLICY).family is None


verdicts_of_a_sample = st.lists(
    st.builds(
        said,
        st.sampled_from(["analyst", "feed-a", "feed-b", "ann"]),
        st.sampled_from(["malicious", "benign", "unknown"]),
        st.integers(0, 2) | st.none(),
        confidence=st.sampled_from([0.2, 0.5, 1.0]),
        family=st.sampled_from([None, "emotet", "zbot"]),
        family_confidence=st.sampled_from([0.2, 0.9]),
        sequence=st.integers(1, 2),
        first_seen=st.sampled_from([None, DAY - timedelta(days=40)]),
    )
    | st.builds(
        report,
        st.integers(0, 8),
        st.integers(8, 70),
        st.integers(0, 120),
        first_seen=st.sampled_from([None, DAY]),
        family=st.sampled_from([None, "emotet", "zbot"]),
        family_confidence=st.sampled_from([0.2, 0.9]),
        sequence=st.integers(1, 2),
    ),
    max_size=6,
)
policies = st.builds(
    replace,
    st.just(POLICY),
    precedence=st.permutations(["analyst", "feed-b", "manifest", "virustotal"]).map(
        lambda names: tuple(names[:3])
    ),
    min_report_age_days=st.sampled_from([0, 30]),
)


class TestProperties:
    @given(verdicts_of_a_sample, policies, st.randoms(use_true_random=False))
    def test_neither_order_nor_repetition_matters(
        self, verdicts: list[Verdict], policy: Policy, random: Any
    ) -> None:
        shuffled = [*verdicts, *verdicts[:2]]
        random.shuffle(shuffled)
        assert resolve(shuffled, policy, DAY) == resolve(verdicts, policy, DAY)

    @given(verdicts_of_a_sample, policies)
    def test_a_label_rests_on_verdicts_and_unknown_has_a_reason(
        self, verdicts: list[Verdict], policy: Policy
    ) -> None:
        label = resolve(verdicts, policy, DAY)
        assert set(label.verdict_ids) <= {v.verdict_id for v in verdicts}
        assert bool(label.verdict_ids) == bool(verdicts)
        code = label.reason.split(":")[0]
        if label.label == "unknown":
            assert code in {
                "no_verdict", "conflict", "undecided", "report_too_young", "low_confidence",
            }  # fmt: skip
            assert label.confidence == 0
        else:
            assert code in {*policy.precedence, "other"}
            assert label.confidence >= policy.min_confidence
        assert label.family is None or label.label == "malicious"

    @given(verdicts_of_a_sample, policies)
    def test_what_it_rests_on_gives_the_same_label(
        self, verdicts: list[Verdict], policy: Policy
    ) -> None:
        label = resolve(verdicts, policy, DAY - timedelta(days=40))
        basis = [v for v in verdicts if v.verdict_id in label.verdict_ids]
        assert resolve(basis, policy, DAY - timedelta(days=40)) == label

    @given(verdicts_of_a_sample, st.sampled_from(["malicious", "benign"]))
    def test_an_agreeing_verdict_of_lower_precedence_changes_no_label(
        self, verdicts: list[Verdict], verdict: str
    ) -> None:
        policy = replace(POLICY, precedence=(*POLICY.precedence, "ann", "late"))
        before = resolve(verdicts, policy, DAY)
        late = said("late", verdict, source_kind="late")
        after = resolve([*verdicts, late], policy, DAY)
        if before.label == verdict:
            assert after[:1] + after[3:6] == before[:1] + before[3:6]
        elif before.label != "unknown" or before.reason.startswith("conflict"):
            assert after == before
        else:
            assert after.label == verdict


class TestPolicy:
    def test_the_digest_follows_what_decides_labels_and_nothing_else(self) -> None:
        usual = Policy.of(Settings()).digest
        assert Policy.of(Settings.load({"groups": {"tlsh_distance": 20}})).digest == usual
        for change in (
            {"labels": {"min_confidence": 0.6}},
            {"labels": {"precedence": ["virustotal"]}},
            {"verdicts": {"malicious_threshold": 10}},
            {"verdicts": {"reread_days": 30}},
        ):
            assert Policy.of(Settings.load(change)).digest != usual

    def test_the_record_has_the_settings_and_their_digest(self) -> None:
        record = Policy.of(Settings()).record()
        assert record["precedence"] == ["analyst", "manifest", "virustotal", "form"]
        assert record["digest"] == Policy.of(Settings()).digest

    def test_thresholds_that_overlap_are_refused(self) -> None:
        with pytest.raises(BadSettingError, match="benign_threshold"):
            Policy.of(Settings.load({"verdicts": {"benign_threshold": 5}}))
