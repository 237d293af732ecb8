"""What is wrong on a host is named, with what to do; and what is right is not."""

from __future__ import annotations

import functools
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.common.doctor.finding import OK
from deploy.host.jobs import ALL
from deploy.host.settings import Settings
from deploy.host.verbs import check, doctor
from tests.deploy.host.conftest import Host

pytestmark = pytest.mark.fast


@pytest.fixture
def whole(host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Host:
    """A host on which all is right, whoever runs the tests."""
    monkeypatch.setattr(check, "UID", os.getuid())
    monkeypatch.setattr(check, "ROOT", os.getuid())
    for name, mode in (("logs", 0o755), ("scratch", 0o700), ("corpus", 0o755), ("state", 0o755)):
        (host.folder / name).mkdir()
        (host.folder / name).chmod(mode)
    host.install("1.0.0", "1.1.0")
    host.releases.folder.chmod(0o755)
    capsys.readouterr()
    return host


@functools.cache
def machines() -> set[str]:
    """What doctor looks at first: how this machine is must not matter here."""
    return {one.name for one in doctor.look(Settings())}


def wrong(host: Host, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What is wrong of what `check` itself compares: by name, what is the case and what to do."""
    status = host("check", "--json")
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] in machines() for one in found] == sorted(
        (one["name"] in machines() for one in found), reverse=True
    )
    named = {one["name"]: one for one in found if one["status"] == "wrong"}
    assert status == (3 if named else 0)
    assert all(one["do"] for one in named.values())
    own = {name: one for name, one in named.items() if name not in machines()}
    return {name: f"{one['what']}\n{one['do']}" for name, one in own.items()}


def state(host: Host, job: str, age: timedelta, status: str = "ok", message: str = "done") -> None:
    ended = (datetime.now(UTC) - age).isoformat(timespec="seconds")
    outcome: dict[str, Any] = {"job": job, "started": ended, "ended": ended}
    outcome |= {"status": status, "message": message, "last_success": None, "last_failure": None}
    (host.folder / "state" / f"{job}.json").write_text(json.dumps(outcome))


def test_a_host_in_order(whole: Host, capsys: pytest.CaptureFixture[str]):
    assert wrong(whole, capsys) == {}
    whole("check")
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "ok current 1.1.0" in lines
    assert "ok tried 5 files compile, DAGs not loaded: images.airflow is empty" in lines
    assert "ok release 1.0.0 5 files, as they were built of abc" in lines


def test_damaged_files_are_named(whole: Host, capsys: pytest.CaptureFixture[str]):
    (whole.releases / "1.0.0" / "dags" / "update.py").write_text("# edited\n")
    (whole.folder / "payload" / "corpus" / "__init__.py").unlink()
    found = wrong(whole, capsys)
    assert found.keys() == {"release 1.0.0", "payload"}
    assert "dags/update.py was changed" in found["release 1.0.0"]
    assert "apt install --reinstall corpus-airflow" in found["payload"]
    whole("check")
    assert "  To mend it: apt install --reinstall" in capsys.readouterr().out


def test_a_link_to_nowhere(whole: Host, capsys: pytest.CaptureFixture[str]):
    link = whole.releases.folder / "current"
    link.unlink()
    assert "`corpus-airflow install` makes one" in wrong(whole, capsys)["current"]
    link.symlink_to("0.9.0")
    assert "'0.9.0', which is no release here" in wrong(whole, capsys)["current"]
    link.unlink()
    link.mkdir()
    assert "is no link.\nMove it away" in wrong(whole, capsys)["current"]


def test_folders(whole: Host, capsys: pytest.CaptureFixture[str]):
    (whole.folder / "scratch").chmod(0o755)
    (whole.folder / "logs").chmod(0o757)
    (whole.folder / "corpus").rmdir()
    whole.releases.folder.chmod(0o700)
    found = {name.rpartition("/")[2]: text for name, text in wrong(whole, capsys).items()}
    assert found.keys() == {"scratch", "logs", "corpus", "releases"}
    assert "its mode is 0755, not 0700\nAs root: chmod 0700 " in found["scratch"]
    assert "all may write to it" in found["logs"]
    assert "No such file or directory.\nMake it" in found["corpus"]
    assert "As root: chmod 0755 " in found["releases"]


def test_an_owner(whole: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(check, "UID", os.getuid() + 1)
    assert {name.rpartition("/")[2] for name in wrong(whole, capsys)} == {
        "logs",
        "scratch",
        "corpus",
    }


def test_the_password_of_the_api(whole: Host, capsys: pytest.CaptureFixture[str]):
    password = whole.folder / "password"
    whole.set("api", url="http://127.0.0.1:1", password_file=str(password))
    assert (
        "No such file or directory.\nIt must hold" in wrong(whole, capsys)[f"password {password}"]
    )
    password.write_text("")
    assert "is empty" in wrong(whole, capsys)[f"password {password}"]
    password.write_text("a secret")
    assert wrong(whole, capsys) == {}


@pytest.mark.skipif("FAKEROOTKEY" in os.environ, reason="fakeroot reads whatever its user owns")
def test_a_password_that_the_asker_may_not_read_is_not_wrong(tmp_path: Path):
    password = tmp_path / "password"
    password.write_text("a secret")
    password.chmod(0)
    # By itself: pytest's folder, and so the settings, are closed to others as well.
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        found = check.password(password)
    finally:
        if root:
            os.seteuid(0)
    assert (found.status, found.what) == (OK, "not looked at: needs root")


def test_runs_that_are_not_known_are_told(whole: Host, capsys: pytest.CaptureFixture[str]):
    whole("check")
    assert "api.url is empty" in capsys.readouterr().out
    (whole.folder / "password").write_text("a secret")
    whole.set("api", url="http://127.0.0.1:1", password_file=str(whole.folder / "password"))
    whole("check")
    assert "api.url is empty" not in capsys.readouterr().out


def test_jobs_that_failed_or_do_not_run(whole: Host, capsys: pytest.CaptureFixture[str]):
    state(whole, "prune", timedelta(0), "failed", "Airflow does not answer.")
    state(whole, "clean-logs", timedelta(days=4))
    state(whole, "clean-database", timedelta(days=2), "off", "Off: database.days is 0.")
    state(whole, "reap", timedelta(minutes=16))
    found = wrong(whole, capsys)
    assert found.keys() == {"job prune", "job clean-logs", "job reap"}
    assert "Airflow does not answer.\nIts last success was at no time." in found["job prune"]
    assert "`systemctl enable --now corpus-airflow-logs.timer`" in found["job clean-logs"]
    assert "has not run since" in found["job reap"]


def test_jobs_that_never_ran_are_missed_after_a_while(
    whole: Host, capsys: pytest.CaptureFixture[str]
):
    history = whole.releases.folder / ".history"
    old = (datetime.now(UTC) - timedelta(minutes=20)).isoformat(timespec="seconds")
    history.write_text(f"{old} 1.0.0\n{old} 1.1.0\n")
    assert wrong(whole, capsys).keys() == {"job reap"}
    old = (datetime.now(UTC) - timedelta(days=4)).isoformat(timespec="seconds")
    history.write_text(f"{old} 1.0.0\n{old} 1.1.0\n")
    found = wrong(whole, capsys)
    assert found.keys() == {f"job {job.name}" for job in ALL}
    assert "has never run" in found["job reap"]


def test_a_damaged_state(whole: Host, capsys: pytest.CaptureFixture[str]):
    (whole.folder / "state" / "prune.json").write_text("{")
    assert "remove it" in wrong(whole, capsys)["job prune"]
