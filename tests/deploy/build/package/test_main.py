"""`python3 -m deploy.build.package`: what is typed, and what is answered."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pytest

from deploy.build.package.__main__ import VERBS, main
from deploy.host.manifest import PACKAGES, Manifest
from tests.support.checkouts import Checkout

pytestmark = pytest.mark.fast


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_version_answers_in_either_spelling(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    checkout.git("tag", "v1.4.0rc1")
    monkeypatch.chdir(checkout.folder)
    assert main(["version"]) == 0
    assert main(["version", "--pep440"]) == 0
    assert capsys.readouterr().out == "1.4.0~rc1\n1.4.0rc1\n"


def test_what_cannot_be_done_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert main(["build", "--version", "1.4"]) == 1
    said = capsys.readouterr().err
    assert said == (
        "'1.4' is not a version; use one such as 1.4.0, 1.4.0rc1, 1.4.0.dev12 or 1.4.0+15.gabc1234.\n"
    )


def test_manifest_describes_a_payload(tmp_path: Path):
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    assert main(["manifest", str(tmp_path), "--version", "1.4.0~rc1", "--revision", "abc"]) == 0
    manifest = Manifest.read(tmp_path)
    manifest.check(tmp_path)
    assert (manifest.version, manifest.revision) == ("1.4.0~rc1", "abc")


def test_help_names_each_verb_and_a_wrong_one_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    told = capsys.readouterr().out
    for verb in VERBS:
        assert f"\n  {verb}" in told
        module = importlib.import_module(f"deploy.build.package.{verb}")
        assert module.add_arguments
        assert module.main
    with pytest.raises(SystemExit, match="2"):
        main(["bild"])
    assert "invalid choice: 'bild'" in capsys.readouterr().err
