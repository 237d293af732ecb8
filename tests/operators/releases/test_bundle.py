"""The bundle over releases: what a process imports, and what happens on a host that lacks a release."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

import corpus.errors
import operators.errors
import operators.releases.bundle
from operators.errors import ReleaseMissingError
from operators.releases.bundle import ReleaseBundle

REPO = Path(__file__).resolve().parents[3]
# Tells, for each version, what is imported by the process and by one that it starts.
PROCESS = """
import json, subprocess, sys
from operators.releases.bundle import ReleaseBundle

told = []
for version in json.loads(sys.argv[2]):
    bundle = ReleaseBundle(name="corpus", releases=sys.argv[1], version=version)
    bundle.initialize()
    import corpus.version, operators.version
    say = "import corpus.version; print(corpus.version.VERSION)"
    child = subprocess.check_output([sys.executable, "-P", "-c", say], text=True).strip()
    seen = [corpus.version.VERSION, operators.version.VERSION, child]
    told.append([str(bundle.path), bundle.get_current_version().version, seen])
print(json.dumps(told))
"""


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    """Two releases whose packages say their version, the first of them current."""
    for version in ("1.0.0", "1.1.0"):
        for package in ("corpus", "operators", "dags"):
            folder = tmp_path / version / package
            folder.mkdir(parents=True)
            (folder / "__init__.py").touch()
            (folder / "version.py").write_text(f"VERSION = {version!r}\n")
        (tmp_path / version / "operators" / "releases").mkdir()
        # What the bundle itself consists of.
        for module in (
            operators.releases,
            operators.releases.bundle,
            operators.errors,
            corpus.errors,
        ):
            file = Path(module.__file__ or "")
            shutil.copy(file, tmp_path / version / file.relative_to(REPO))
    (tmp_path / "current").symlink_to("1.0.0")
    return tmp_path


@pytest.fixture
def bundle(
    releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ReleaseBundle]:
    # Where it notes what is missing.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def made(version: str | None, **options: float) -> ReleaseBundle:
        return ReleaseBundle(name="corpus", releases=str(releases), version=version, **options)

    return made


def process(releases: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that began on release 1.0.0."""
    return subprocess.run(
        [sys.executable, "-P", "-c", code, str(releases), *arguments],
        env={**os.environ, "PYTHONPATH": str(releases / "1.0.0")},
        capture_output=True,
        text=True,
    )


def test_a_process_imports_the_release_of_its_run_whatever_it_had_loaded(releases: Path):
    versions = [None, "1.1.0", "1.0.0", "1.1.0"]
    done = process(releases, PROCESS, json.dumps(versions))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [
        [str(releases / version / "dags"), version, [version] * 3]
        for version in ("1.0.0", "1.1.0", "1.0.0", "1.1.0")
    ]


def test_a_host_that_lacks_the_release_puts_the_task_off(
    bundle: Callable[..., ReleaseBundle], caplog: pytest.LogCaptureFixture
):
    before = datetime.now(UTC)
    with pytest.raises(AirflowRescheduleException) as raised:
        bundle("1.2.0", again_s=30).initialize()
    later = raised.value.reschedule_date - before
    assert timedelta(seconds=29) < later < timedelta(seconds=60)
    assert "has not got release 1.2.0" in caplog.text
    assert "Install corpus-airflow=1.2.0 here within 3600 s." in caplog.text


def test_a_release_that_does_not_come_fails_the_task_with_what_to_do(
    bundle: Callable[..., ReleaseBundle], releases: Path
):
    waiting = bundle("1.2.0", wait_s=600)
    with pytest.raises(AirflowRescheduleException):
        waiting.initialize()
    (noted,) = releases.glob("*-missing/1.2.0")
    noted.write_text(str(time.time() - 700))
    with pytest.raises(ReleaseMissingError, match=r"Install corpus-airflow=1\.2\.0 here"):
        waiting.initialize()


def test_an_absence_that_nobody_met_for_long_is_over(
    bundle: Callable[..., ReleaseBundle], releases: Path
):
    waiting = bundle("1.2.0", wait_s=600)
    with pytest.raises(AirflowRescheduleException):
        waiting.initialize()
    (noted,) = releases.glob("*-missing/1.2.0")
    noted.write_text(str(time.time() - 70_000))
    os.utime(noted, (time.time() - 60_000,) * 2)
    with pytest.raises(AirflowRescheduleException):
        waiting.initialize()


def test_a_release_is_taken_up_between_two_readings_of_dag_files(releases: Path):
    code = """
import subprocess, sys
from pathlib import Path
from operators.releases.bundle import ReleaseBundle

releases = Path(sys.argv[1])
bundle = ReleaseBundle(name="corpus", releases=str(releases))
bundle.initialize()
(releases / "current").unlink()
(releases / "current").symlink_to("1.1.0")
reader = subprocess.Popen(["sleep", "60"])
bundle.refresh()
print(bundle.get_current_version().version)
reader.kill()
reader.wait()
bundle.refresh()
print(bundle.get_current_version().version)
"""
    done = process(releases, code)
    assert done.stdout.split() == ["1.0.0", "1.1.0"], done.stderr


def test_no_release_at_all_is_said(bundle: Callable[..., ReleaseBundle], releases: Path):
    (releases / "current").unlink()
    with pytest.raises(ReleaseMissingError, match="names no release"):
        bundle(None).initialize()


def test_a_bundle_follows_the_link_when_refreshed_unless_its_version_is_given(releases: Path):
    code = """
import sys
from pathlib import Path
from operators.releases.bundle import ReleaseBundle

releases = Path(sys.argv[1])
newest = ReleaseBundle(name="corpus", releases=str(releases), version=None)
fixed = ReleaseBundle(name="corpus", releases=str(releases), version="1.0.0")
newest.initialize()
import corpus.version
print(corpus.version.VERSION)
(releases / "current").unlink()
(releases / "current").symlink_to("1.1.0")
print(newest.get_current_version().version)
for bundle in (newest, fixed):
    bundle.refresh()
    print(bundle.get_current_version().version)
import corpus.version
print(corpus.version.VERSION)
"""
    done = process(releases, code)
    # Until it is refreshed it is whole: of the release that it was.
    assert done.stdout.split() == ["1.0.0", "1.0.0", "1.1.0", "1.0.0", "1.1.0"], done.stderr
