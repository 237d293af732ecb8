"""Settings: who wins, and what shapes the content."""

from __future__ import annotations

import pytest

from corpus.errors import BadSettingError
from corpus.settings import Settings

pytestmark = pytest.mark.fast


def test_precedence_run_over_environment_over_files_over_default(tmp_path, monkeypatch):
    file = tmp_path / "corpus.toml"
    file.write_text("[splits]\nseed = 1\ntest_weeks = 1\nvalidation_weeks = 1\n")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.toml").write_text("[splits]\nvalidation_weeks = 2\n")
    monkeypatch.setenv("CORPUS_SPLITS__TEST_WEEKS", "3")
    splits = Settings.load({"splits": {"seed": 4}}, file=file).splits
    assert (splits.seed, splits.test_weeks, splits.validation_weeks) == (4, 3, 2)
    assert splits.ratio == [0.7, 0.1, 0.2]


def test_what_is_secret_may_lie_in_a_folder_of_its_own(tmp_path, monkeypatch):
    file = tmp_path / "corpus.toml"
    file.write_text("[splits]\nseed = 1\ntest_weeks = 1\n")
    for folder, seed in (("conf.d", 2), ("secrets", 3)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.toml").write_text(f"[splits]\nseed = {seed}\n")
    monkeypatch.setenv("CORPUS_CONFIG_SECRETS", str(tmp_path / "secrets"))
    splits = Settings.load(file=file).splits
    assert (splits.seed, splits.test_weeks) == (3, 1)


@pytest.mark.parametrize(
    "overrides",
    [
        {"splits": {"sead": 1}},
        {"nothing": 1},
        {"features": {"jobs": 0}},
        {"groups": {"tlsh_distance": "near"}},
        {"shards": {"max_files": 2**70}},
        {"sources": {"max_unpacked_bytes": 2**70}},
        {"verdicts": {"reread_days": 1_000_000}},
        {"splits": {"seed": -(2**70)}},
        {"splits": {"test_from": "1 October"}},
        {"splits": {"validation_from": "2024-13-01"}},
        {"splits": {"test_from": "0001-01-01"}},
        {"splits": {"validation_from": "9999-12-31"}},
        {"features": {"timeout_s": float("inf")}},
        {"gates": {"max_psi_block": float("nan")}},
    ],
)
def test_nonsense_is_refused_by_name(overrides):
    section, value = next(iter(overrides.items()))
    field = f"{section}.{next(iter(value))}" if isinstance(value, dict) else section
    with pytest.raises(BadSettingError) as caught:
        Settings.load(overrides)
    assert caught.value.field == field


def test_every_number_has_a_maximum():
    for name, section in Settings.model_json_schema()["$defs"].items():
        for field, schema in section["properties"].items():
            if schema.get("type") in ("integer", "number"):
                assert "maximum" in schema, f"{name}.{field}"


def test_the_digest_is_about_content_not_about_place_or_secrets():
    here = Settings.load({"store": {"root": "/a"}})
    there = Settings.load(
        {
            "store": {"root": "/b", "options": {"secret": "s"}},
            "sources": {"archive_passwords": ["x"]},
        }
    )
    other = Settings.load({"groups": {"tlsh_distance": 29}})
    assert here.digest == there.digest
    assert here.digest != other.digest


def test_a_secret_does_not_show_in_the_text_of_settings():
    assert "planted" not in repr(Settings.load({"store": {"options": {"secret": "planted"}}}))


def test_a_typo_is_told_what_it_is_near_to():
    with pytest.raises(BadSettingError, match=r"no such setting\. Did you mean splits\.seed\?"):
        Settings.load({"splits": {"sed": 1}})


@pytest.mark.parametrize(
    "section", ["[docker]\nurl = 1\nnothing = 2", "[reaper]\nx = 1", "runner = 3"]
)
def test_what_belongs_to_workers_is_not_looked_at(tmp_path, section):
    file = tmp_path / "corpus.toml"
    file.write_text(f"{section}\n[splits]\nseed = 7\n")
    settings = Settings.load(file=file)
    assert settings.splits.seed == 7
    assert settings.digest == Settings.load({"splits": {"seed": 7}}).digest


@pytest.mark.parametrize("name", ["dockr", "docker_", "nothing"])
def test_a_section_of_nobody_is_refused(tmp_path, name):
    file = tmp_path / "corpus.toml"
    file.write_text(f"[{name}]\n")
    with pytest.raises(BadSettingError, match="no such setting") as caught:
        Settings.load(file=file)
    assert caught.value.field == name
    assert ("Did you mean docker?" in str(caught.value)) is name.startswith("do")


def test_a_run_does_not_override_what_belongs_to_workers():
    with pytest.raises(BadSettingError, match="cannot be overridden") as caught:
        Settings.load({"docker": {"memory_bytes": 2**30}})
    assert caught.value.field == "docker"
