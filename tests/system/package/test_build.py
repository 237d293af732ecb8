"""The build: the same bytes wherever it is done, with tests inside, and nothing that lintian minds."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from deploy.build.package.build import Built
from deploy.build.package.build import build as build_tree
from deploy.common.errors import ProgramError
from tests.system.package.packages import Packages, checkout, source


def digests(folder: Path) -> dict[str, str]:
    """Of what is the same wherever it is built: .buildinfo and .changes say where that was."""
    kinds = ("*.deb", "*.dsc", "*.tar.xz")
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for kind in kinds
        for file in folder.glob(kind)
    }


def build_date(folder: Path) -> datetime:
    """What the clock said when it was built."""
    (file,) = folder.glob("*.buildinfo")
    (line,) = (line for line in file.read_text().splitlines() if line.startswith("Build-Date: "))
    return parsedate_to_datetime(line.partition(": ")[2])


def test_neither_path_nor_umask_time_zone_language_or_clock_show_in_what_is_built(tmp_path: Path):
    faketime = shutil.which("faketime")
    if not faketime:
        pytest.skip("faketime is not installed: sh tests/system/run.sh package installs it")
    here, there = tmp_path / "here", tmp_path / "another place" / "far" / "deeper"
    command = [sys.executable, "-m", "deploy.build.package", "build", "--nocheck"]
    subprocess.run(
        [*command, "--work", here / "work", "--dist", here / "dist"],
        cwd=checkout(),
        check=True,
        umask=0o022,
        env={**os.environ, "TZ": "Pacific/Kiritimati", "LC_ALL": "C", "HOME": "/nonexistent"},
    )
    subprocess.run(
        [faketime, "-f", "+500d", *command, "--work", there / "work", "--dist", there / "dist"],
        cwd=checkout(),
        check=True,
        umask=0o077,
        env={**os.environ, "TZ": "America/St_Johns", "LC_ALL": "C.UTF-8", "USER": "builder"},
    )
    assert build_date(there / "dist") - build_date(here / "dist") > timedelta(days=499)
    assert len(digests(here / "dist")) == 3
    assert digests(here / "dist") == digests(there / "dist")


def test_what_it_says_of_its_source_is_what_can_be_built_again(
    built: Built, deb: Path, tmp_path: Path
):
    """Whoever has the source package alone gets the same binary package."""
    dsc = next(file for file in built.files if file.suffix == ".dsc")
    subprocess.run(
        ["dpkg-source", "--extract", dsc, tmp_path / "tree"], check=True, stdout=subprocess.DEVNULL
    )
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    subprocess.run(
        ["dpkg-buildpackage", "--no-sign", "--build=binary"],
        cwd=tmp_path / "tree",
        check=True,
        env={**environment, "DEB_BUILD_OPTIONS": "nocheck", "DEB_BUILD_PROFILES": "nocheck"},
    )
    assert (tmp_path / deb.name).read_bytes() == deb.read_bytes()


def test_a_checkout_can_be_built_in_place_and_stays_clean(tmp_path: Path):
    clone = tmp_path / "checkout"
    subprocess.run(["git", "clone", "-q", checkout(), clone], check=True)
    # What a checkout in use holds, and no build may remove or take along.
    for name in (".venv/stays", ".work/stays", "dist/stays", "corpus/__pycache__/stays.pyc"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).touch()
    subprocess.run(
        ["dpkg-buildpackage", "--no-sign", "--build=full"],
        cwd=clone,
        check=True,
        env={**os.environ, "DEB_BUILD_OPTIONS": "nocheck", "DEB_BUILD_PROFILES": "nocheck"},
    )
    (deb,) = tmp_path.glob("*.deb")
    assert deb.name == "corpus-airflow_0.1.0~~dev0_all.deb"
    (tar,) = tmp_path.glob("*.tar.xz")
    for command in (["dpkg-deb", "--contents", deb], ["tar", "--list", "--file", tar]):
        listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert "corpus/settings/corpus.py" in listing
        assert "stays" not in listing
    status = ["git", "status", "--porcelain"]
    assert not subprocess.run(status, cwd=clone, check=True, capture_output=True).stdout
    assert all((clone / name / "stays").exists() for name in (".venv", ".work", "dist"))


def test_tests_run_in_the_build(built: Built):
    log = built.log.read_text()
    assert "tests/deploy/host/test_releases.py" in log
    assert "tests/deploy/build/package/test_version.py" in log
    assert " passed" in log


def test_a_failing_test_stops_the_build_and_nocheck_skips_them(tmp_path: Path):
    def add_a_test(tree: Path) -> None:
        test = tree / "tests" / "deploy" / "build" / "package" / "test_that_fails.py"
        test.write_text("def test_that_fails():\n    assert not 'a reason'\n")

    tree = source(tmp_path / "source", "9.2.0", add_a_test)
    with pytest.raises(ProgramError, match="a reason"):
        build_tree(tree, tmp_path / "dist")
    assert not (tmp_path / "dist").exists()
    built = build_tree(tree, tmp_path / "dist", binary_only=True, check=False)
    assert built.deb.is_file()
    assert "-m pytest" not in built.log.read_text()


def test_lintian_has_nothing_to_say(built: Built):
    if not shutil.which("lintian"):
        pytest.skip("lintian is not installed: sh tests/system/run.sh package installs it")
    command = [
        "lintian",
        "--allow-root",
        "--fail-on=error,warning",
        "--display-info",
        "--pedantic",
    ]
    done = subprocess.run([*command, built.changes], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert not [line for line in done.stdout.splitlines() if line.startswith(("E:", "W:"))]


def test_a_version_is_built_as_it_is_called(build: Packages, older_deb: Path):
    assert older_deb.name == "corpus-airflow_0.0.1_all.deb"
    assert build("0.0.1") == older_deb
