"""From one release to another and back, by hand."""

from __future__ import annotations

import pytest

from tests.deploy.host.conftest import Host

pytestmark = pytest.mark.fast


@pytest.fixture
def releases(host: Host, capsys: pytest.CaptureFixture[str]) -> Host:
    host.install("1.0.0", "1.1.0", "1.2.0")
    capsys.readouterr()
    return host


def test_a_switch_and_the_way_back(releases: Host, capsys: pytest.CaptureFixture[str]):
    assert releases("switch", "1.0.0") == 0
    assert releases.releases.current == "1.0.0"
    assert "1.0.0 is current, 1.2.0 was before" in capsys.readouterr().out
    assert releases("rollback") == 0
    assert releases.releases.current == "1.2.0"


def test_to_switch_to_the_current_release_says_so(
    releases: Host, capsys: pytest.CaptureFixture[str]
):
    assert releases("switch", "1.2.0") == 0
    assert "1.2.0 is current already" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("switch", "1.0.0"), ("rollback",)])
def test_a_dry_run_verifies_and_stays(
    releases: Host, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    assert releases(*words, "--dry-run") == 0
    assert "is whole; 1.2.0 would be replaced" in capsys.readouterr().out
    assert releases.releases.current == "1.2.0"


@pytest.mark.parametrize(
    "words", [("switch", "1.1.0"), ("switch", "1.1.0", "--dry-run"), ("rollback",)]
)
def test_a_damaged_release_is_not_switched_to(
    releases: Host, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    (releases.releases / "1.1.0" / "dags" / "update.py").write_text("# edited\n")
    assert releases(*words) == 3
    assert "dags/update.py was changed" in capsys.readouterr().err
    assert releases.releases.current == "1.2.0"


def test_an_unknown_release_is_told_with_those_that_are_here(
    releases: Host, capsys: pytest.CaptureFixture[str]
):
    assert releases("switch", "9.0.0") == 2
    assert "no release '9.0.0' here; there are: 1.0.0, 1.1.0, 1.2.0" in capsys.readouterr().err


def test_the_first_release_has_no_way_back(host: Host, capsys: pytest.CaptureFixture[str]):
    host.install("1.0.0")
    assert host("rollback") == 2
    assert "no release to go back to" in capsys.readouterr().err
