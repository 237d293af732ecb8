"""Old logs go, then the oldest; nothing else, and nothing outside."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.deploy.host.conftest import Host

pytestmark = pytest.mark.fast

DAY = 86400


@pytest.fixture
def logs(host: Host) -> Path:
    """Empty, with the rules of `clean-logs` as shipped."""
    folder = host.folder / "logs"
    folder.mkdir()
    return folder


def log(folder: Path, name: str, days: float, size: int = 10) -> Path:
    """A log that was written so many days ago, in folders as old."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)
    when = time.time() - days * DAY
    os.utime(file, (when, when))
    for parent in file.relative_to(folder).parents[:-1]:
        os.utime(folder / parent, (when, when))
    return file


def left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_old_logs_go_and_the_folders_that_this_empties(
    host: Host, logs: Path, capsys: pytest.CaptureFixture[str]
):
    log(logs, "dag_id=a/run_id=1/task_id=x/attempt=1.log", 91)
    log(logs, "dag_id=a/run_id=1/task_id=x/attempt=1.log.trigger.7.log", 91)
    log(logs, "dag_id=a/run_id=2/task_id=x/attempt=1.log", 89)
    assert host("clean-logs") == 0
    assert left(logs) == {
        "dag_id=a",
        "dag_id=a/run_id=2",
        "dag_id=a/run_id=2/task_id=x",
        "dag_id=a/run_id=2/task_id=x/attempt=1.log",
    }
    told = capsys.readouterr().out
    assert (
        "Removed 2 logs (20 B) of more than 90 days, 0 logs (0 B) above 0 GB; 10 B are left."
        in told
    )
    state = json.loads((host.folder / "state" / "clean-logs.json").read_text())
    assert state["message"] in told


def test_then_the_oldest_until_the_rest_fits(
    host: Host, logs: Path, capsys: pytest.CaptureFixture[str]
):
    host.set("logs", max_gb=0.00000025, days=50)
    for days in (60, 40, 30, 20, 10):
        log(logs, f"{days}.log", days, size=100)
    assert host("clean-logs") == 0
    assert left(logs) == {"20.log", "10.log"}
    assert "1 logs (100 B) of more than 50 days, 2 logs (200 B) above" in capsys.readouterr().out


def test_what_just_fits_stays(host: Host, logs: Path):
    host.set("logs", max_gb=0.0000002)
    for days in (2, 1):
        log(logs, f"{days}.log", days, size=100)
    host("clean-logs")
    assert left(logs) == {"2.log", "1.log"}


def test_a_dry_run_counts_and_removes_nothing(
    host: Host, logs: Path, capsys: pytest.CaptureFixture[str]
):
    log(logs, "a/old.log", 100, size=2_500_000)
    assert host("clean-logs", "--dry-run") == 0
    assert "Would remove 1 logs (2.5 MB)" in capsys.readouterr().out
    assert left(logs) == {"a", "a/old.log"}
    assert not (host.folder / "state").exists()


def test_what_is_no_log_stays(host: Host, logs: Path):
    log(logs, "a/notes.txt", 100)
    log(logs, "a/old.log", 100)
    (logs / "folder.log").mkdir()
    os.utime(logs / "folder.log")
    host("clean-logs")
    assert left(logs) == {"a", "a/notes.txt", "folder.log"}


def test_a_folder_that_a_task_has_just_made_stays(host: Host, logs: Path):
    (logs / "dag_id=a" / "run_id=1").mkdir(parents=True)
    host("clean-logs")
    assert left(logs) == {"dag_id=a", "dag_id=a/run_id=1"}


def test_links_are_not_followed(host: Host, logs: Path, tmp_path: Path):
    outside = log(tmp_path, "outside/old.log", 100)
    (logs / "folder").symlink_to(outside.parent)
    (logs / "file.log").symlink_to(outside)
    hard = log(logs, "a/old.log", 100)
    assert host("clean-logs") == 0
    assert outside.is_file()
    assert (logs / "folder").is_symlink()
    assert (logs / "file.log").is_symlink()
    assert not hard.exists()


def test_the_folder_itself_may_be_a_link(host: Host, logs: Path, tmp_path: Path):
    log(logs, "old.log", 100)
    logs.rename(tmp_path / "elsewhere")
    logs.symlink_to(tmp_path / "elsewhere")
    assert host("clean-logs") == 0
    assert left(tmp_path / "elsewhere") == set()


@pytest.mark.skipif(
    os.geteuid() != 0 or "FAKEROOTKEY" in os.environ, reason="only root can act as another user"
)
def test_root_acts_as_who_owns_the_folder(host: Host, capsys: pytest.CaptureFixture[str]):
    # Not below pytest's folder, where only root may look.
    import tempfile

    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        os.chown(folder, 50000, 50000)
        own = log(folder, "own/old.log", 100)
        os.chown(own.parent, 50000, 50000)
        foreign = log(folder, "foreign/old.log", 100)
        host.set("logs", folder=str(folder))
        # One of a group that root may happen to be in.
        group = log(folder, "group/old.log", 100)
        os.chown(group.parent, 0, 4242)
        group.parent.chmod(0o775)
        # Even its names are hidden from who owns the rest.
        closed = log(folder, "closed/old.log", 100)
        closed.parent.chmod(0o700)
        # A link to such a one is none of these.
        (folder / "link").symlink_to(closed.parent)
        before = os.getgroups()
        os.setgroups(groups := [*before, 4242])
        try:
            assert host("clean-logs") == 1
            assert os.getgroups() == groups
        finally:
            os.setgroups(before)
        assert group.exists()
        assert not own.exists()
        assert foreign.exists()
        assert closed.exists()
        told = capsys.readouterr().err
        assert f"3 logs or folders below {folder} could not be read or removed" in told
        assert f", {closed.parent} first. Removed 3 logs" in told
        assert os.geteuid() == 0
        state = json.loads((host.folder / "state" / "clean-logs.json").read_text())
        assert state["status"] == "failed"


@pytest.mark.skipif(
    os.geteuid() != 0 or "FAKEROOTKEY" in os.environ, reason="only root can act as another user"
)
@pytest.mark.parametrize("mode", [0o700, 0o744])
def test_what_cannot_be_read_is_no_success(
    host: Host, mode: int, capsys: pytest.CaptureFixture[str]
):
    import tempfile

    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        os.chown(folder, 50000, 50000)
        old = log(folder, "closed/old.log", 100)
        old.parent.chmod(mode)
        host.set("logs", folder=str(folder))
        for words in (("clean-logs", "--dry-run"), ("clean-logs",)):
            assert host(*words) == 1
            told = capsys.readouterr().err
            assert f"1 logs or folders below {folder} could not be read" in told
            assert str(old.parent) in told
        assert old.exists()


def test_without_both_rules_it_is_off(host: Host, capsys: pytest.CaptureFixture[str]):
    host.set("logs", days=0, max_gb=0)
    assert host("clean-logs") == 0
    assert "Off: logs.days and logs.max_gb are 0." in capsys.readouterr().out


def test_a_missing_folder_is_told(host: Host, capsys: pytest.CaptureFixture[str]):
    assert host("clean-logs") == 2
    assert "There is no folder" in capsys.readouterr().err
