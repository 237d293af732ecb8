"""Families: no-names of all kinds are none, and aliases of one's own."""

from __future__ import annotations

import pytest

from corpus.settings import VerdictSettings
from corpus.verdicts.family_names import FamilyNames
from corpus.verdicts.reader import VerdictReader
from corpus.verdicts.record import Verdict
from tests.support.verdict_corpus import FEEDS

pytestmark = pytest.mark.fast


def read(name: str, settings: VerdictSettings | None = None) -> list[Verdict]:
    with (FEEDS / name).open("rb") as stream:
        return list(VerdictReader(settings or VerdictSettings()).read(stream, name))


def test_a_feeds_words_for_no_family() -> None:
    rows = read("families.csv")
    assert len(rows) == 11
    assert {(row.family, row.family_confidence) for row in rows} == {(None, None)}


@pytest.mark.parametrize(
    "word",
    ["n/a", "N/A", "#N/A", "<NA>", "nan", "NaN", "NaT", "undefined", "Un-Defined", "unk", "not available", "(none)",
     "--", "?", "0", "-1", "SINGLETON:abc", "singleton:ABC", "Malware", "no family", " ", "null", "#REF!"],
)  # fmt: skip
def test_no_names(word: str) -> None:
    assert FamilyNames().read(word) is None


@pytest.mark.parametrize("word", ["Emotet", "njrat", "nanocore", "Unknown Logger", "7ev3n", "Локи"])
def test_names(word: str) -> None:
    assert FamilyNames().read(word) == word.lower()


def test_aliases_in_any_case() -> None:
    names = FamilyNames({"ReLine": "RedLine", "house-name": "n/a"})
    assert [names.read(word) for word in ("RELINE", "redline", "House-Name")] == [
        "redline", "redline", None,
    ]  # fmt: skip


def test_an_alias_wins_over_avclass() -> None:
    (usual,) = read("redline.jsonl")
    (own,) = read("redline.jsonl", VerdictSettings(family_aliases={"reline": "redline"}))
    assert (usual.family, own.family) == ("reline", "redline")
    assert own.family_confidence == usual.family_confidence
