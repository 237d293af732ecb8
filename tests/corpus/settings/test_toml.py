"""Settings that another process reads from a file are those of this one, without its secrets."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import BadSettingError
from corpus.settings import Settings
from corpus.settings.toml import to_toml

pytestmark = pytest.mark.fast

ODD = [
    "", " ", "a b", 'quo"te', "back\\slash", "line\nbreak", "\r\n", "tab\t", "\x00\x1b\x7f\x85", "[x]",
    "# no comment", "''' '''", '"""', "é漢\U0001f9ea", "s3://bucket/päth?x=1&y=%20", "${HOME}", "true",
]  # fmt: skip


def loaded(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "corpus.toml"
    file.write_bytes(text.encode())
    return Settings.load(file=file)


def without_options(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(exclude={"store": {"options"}})


def test_all_but_secrets_comes_back(tmp_path: Path) -> None:
    settings = Settings.load(
        {
            "store": {"root": "s3://bucket/corpus", "options": {"secret": "planted-secret"}},
            "sources": {"urls": ODD, "archive_passwords": ODD, "max_ratio": 1.5e8},
            "verdicts": {"correlated_engines": [ODD, [], ["x"]]},
            "labels": {"min_confidence": 1e-7},
            "splits": {"seed": -3, "test_from": "2024-01-01", "ratio": [0.1, 0.2, 0.7]},
            "groups": {"imphash": False},
        }
    )
    text = to_toml(settings, archive_passwords=True)
    assert "planted-secret" not in text
    assert "options" not in tomllib.loads(text)["store"]
    assert without_options(loaded(tmp_path, text)) == without_options(settings)
    assert loaded(tmp_path, text).digest == settings.digest


def test_the_defaults_come_back(tmp_path: Path) -> None:
    settings = Settings.load()
    for passwords in (True, False):
        text = to_toml(settings, archive_passwords=passwords)
        assert loaded(tmp_path, text).model_dump() == settings.model_dump()


def test_passwords_of_archives_are_there_only_where_they_are_asked_for(tmp_path: Path) -> None:
    settings = Settings.load({"sources": {"archive_passwords": ["planted-secret"]}})
    assert "planted-secret" not in to_toml(settings)
    again = loaded(tmp_path, to_toml(settings, archive_passwords=True))
    assert [word.get_secret_value() for word in again.sources.archive_passwords] == [
        "planted-secret"
    ]


def test_addresses_may_be_left_out(tmp_path: Path) -> None:
    url = "https://user:planted-secret@host/in"
    settings = Settings.load(
        {
            "store": {"root": url},
            "sources": {"urls": [url]},
            "verdicts": {"feeds": [{"place": url}]},
        }
    )
    assert "planted-secret" not in to_toml(settings, addresses=False)
    left = Settings.load({})
    again = loaded(tmp_path, to_toml(settings, addresses=False))
    assert again.model_dump() == left.model_dump()


def test_secrets_beside_it_join(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "store.toml").write_text('[store.options]\nkey = "k"\n')
    settings = Settings.load({"store": {"root": "s3://b", "options": {"key": "k"}}})
    assert loaded(tmp_path, to_toml(settings)).model_dump() == settings.model_dump()


def test_what_is_no_text_is_refused_by_name() -> None:
    with pytest.raises(BadSettingError) as caught:
        to_toml(Settings.load({"sources": {"include": ["ok", "\udcff"]}}))
    assert caught.value.field == "sources.include"


@given(st.lists(st.text()), st.floats(1.1, 1e9), st.integers(-(2**62), 2**62), st.booleans())
def test_any_value_comes_back(texts: list[str], ratio: float, seed: int, flag: bool) -> None:
    settings = Settings.load(
        {
            "sources": {"include": texts, "max_ratio": ratio},
            "splits": {"seed": seed},
            "groups": {"imphash": flag},
        }
    )
    read = tomllib.loads(to_toml(settings))
    assert read["sources"]["include"] == texts
    assert read["sources"]["max_ratio"] == ratio
    assert read["splits"]["seed"] == seed
    assert read["groups"]["imphash"] is flag
