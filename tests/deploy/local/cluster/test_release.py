"""A release of the bundle's code, and the link to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.host.manifest import PACKAGES
from deploy.local.cluster.release import KEPT, release

pytestmark = pytest.mark.fast


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    for package in PACKAGES:
        (tmp_path / "repo" / package).mkdir(parents=True)
        (tmp_path / "repo" / package / "__init__.py").write_text("VERSION = 1\n")
    (tmp_path / "repo" / "secret.txt").write_text("not the bundle's")
    return tmp_path / "repo"


def test_the_link_is_relative_and_leads_to_a_copy_of_the_bundle_alone(repo: Path, tmp_path: Path):
    name = release(repo, tmp_path / "code")
    link = tmp_path / "code" / "current"
    assert link.readlink() == Path(name)
    assert {path.name for path in link.iterdir()} == {*PACKAGES, "release.json"}


def test_an_edit_changes_the_release_but_not_the_old_one(repo: Path, tmp_path: Path):
    code = tmp_path / "code"
    first = release(repo, code)
    assert release(repo, code) == first
    (repo / "dags" / "__init__.py").write_text("VERSION = 2\n")
    second = release(repo, code)
    assert first != second
    assert (code / "current" / "dags" / "__init__.py").read_text() == "VERSION = 2\n"
    assert (code / first / "dags" / "__init__.py").read_text() == "VERSION = 1\n"


def test_bytecode_of_the_checkout_is_no_part_of_it(repo: Path, tmp_path: Path):
    first = release(repo, tmp_path / "code")
    cache = repo / "dags" / "__pycache__"
    cache.mkdir()
    (cache / "old.cpython-311.pyc").write_bytes(b"stale")
    assert release(repo, tmp_path / "code") == first
    assert not list((tmp_path / "code").rglob("old*.pyc"))


def test_a_release_is_compiled_for_those_who_cannot_write_beside_it(repo: Path, tmp_path: Path):
    release(repo, tmp_path / "code")
    command = [sys.executable, "-v", "-B", "-c", "import dags"]
    done = subprocess.run(
        command, cwd=tmp_path / "code" / "current", capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "dags/__pycache__/__init__.cpython-311.pyc matches" in done.stderr


def test_old_releases_go_and_the_newest_stay(repo: Path, tmp_path: Path):
    made = []
    for number in range(KEPT + 2):
        (repo / "corpus" / "__init__.py").write_text(f"VERSION = {number}\n")
        made.append(release(repo, tmp_path / "code"))
    left = {path.name for path in (tmp_path / "code").iterdir() if not path.name.startswith(".")}
    assert left == {*made[-KEPT:], "current"}
