"""The settings file that the package lays down: read as it is, and true in what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from corpus.settings import Settings

pytestmark = pytest.mark.fast

FILE = Path(__file__).resolve().parents[2] / "debian" / "corpus.toml"
# Shown as examples: they have no default.
_EXAMPLES = {"validation_from": "2026-01-01", "test_from": "2026-04-01"}
_SHOWN = re.compile(r"^#(?=\w+ = )", re.MULTILINE)


def test_only_the_place_of_the_corpus_is_set(tmp_path: Path):
    empty = tmp_path / "corpus.toml"
    empty.touch()
    expected = Settings.load(file=empty).model_dump()
    expected["store"]["root"] = "/var/lib/corpus-airflow/corpus"
    assert Settings.load(file=FILE).model_dump() == expected


def test_what_it_shows_are_settings_with_their_defaults(tmp_path: Path):
    shown = tmp_path / "corpus.toml"
    text, count = _SHOWN.subn("", FILE.read_text())
    assert count > 10
    shown.write_text(text)
    expected = Settings.load(file=FILE).model_dump()
    expected["splits"] |= _EXAMPLES
    assert Settings.load(file=shown).model_dump() == expected
