"""Folders on file systems that are really full, read-only, or somebody else's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.common.doctor import folders
from tests.deploy.common.doctor.apart import NOBODY, ask, needs_root

pytestmark = pytest.mark.fast

MOUNT = ("--mount",)


@pytest.mark.parametrize("name", ["a?b", "a%b", "a:b"])
def test_characters_that_mean_something(name: str, tmp_path: Path):
    found = folders.path(tmp_path / name, "?%:")
    assert found.status == "wrong"
    assert repr(name[1]) in found.what
    assert "WORK=DIR" in found.do


def test_the_name_of_a_variable_in_a_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("DOCTOR_TEST", "x")
    found = folders.path(tmp_path / "a$DOCTOR_TEST", "")
    assert found.what == f"Airflow would read {tmp_path}/a$DOCTOR_TEST as {tmp_path}/ax."
    assert folders.path(tmp_path / "a$NO_SUCH_VARIABLE", "").status == "ok"
    assert folders.path(tmp_path / "a b, with 'ä' # and more", "?%:").status == "ok"


def test_a_usable_folder_is_left_as_it_was(tmp_path: Path):
    assert folders.usable(tmp_path / "not" / "yet").status == "ok"
    assert folders.usable(tmp_path).status == "ok"
    assert list(tmp_path.iterdir()) == []


@needs_root
def test_a_folder_of_somebody_else():
    found = ask("folders.usable(Path('/root/work'))", f"become({NOBODY})")
    assert found.status == "wrong"
    assert "cannot be written: Permission denied" in found.what
    assert "for nobody" in found.do


@needs_root
def test_a_file_system_that_is_read_only(tmp_path: Path):
    found = ask(
        f"folders.usable(Path({str(tmp_path)!r}))", f"mount({str(tmp_path)!r}, 'ro')", unshare=MOUNT
    )
    assert (found.status, found.what) == (
        "wrong",
        f"{tmp_path} cannot be written: Read-only file system.",
    )  # fmt: skip


@needs_root
def test_a_file_system_that_runs_no_program(tmp_path: Path):
    check = f"folders.executable(Path({str(tmp_path)!r}, 'venv'))"
    assert ask(check, f"mount({str(tmp_path)!r}, 'noexec')", unshare=MOUNT).status == "wrong"
    assert ask(check).status == "ok"


@needs_root
def test_what_another_user_has_left():
    # Pytest's own folder is closed to others.
    first = "mount('/mnt', 'mode=0755'); file = Path('/mnt/airflow.db'); file.touch()"
    check = "folders.ours([file, Path('/mnt/none')], Path('/mnt'))"
    assert ask(check, first, unshare=MOUNT).status == "ok"
    foreign = ask(check, f"{first}; become({NOBODY})", unshare=MOUNT)
    assert foreign.status == "wrong"
    assert foreign.what == "/mnt/airflow.db belongs to root, and nobody cannot write to it."
    assert foreign.do.endswith("sudo chown -R nobody /mnt")
    closed = f"{first}; os.chown(file, {NOBODY}, 0); file.chmod(0o400); become({NOBODY})"
    assert "chmod -R u+rwX" in ask(check, closed, unshare=MOUNT).do


@needs_root
def test_a_full_disk(tmp_path: Path):
    check = f"folders.room(Path({str(tmp_path)!r}, 'not', 'yet'), 1, 0.3)"
    found = ask(check, f"mount({str(tmp_path)!r}, 'size=1m')", unshare=MOUNT)
    assert found.status == "wrong"
    assert found.what == f"0.0 GB free in {tmp_path}; at least 0.3 GB are needed."


@needs_root
def test_a_disk_without_room_for_more_files(tmp_path: Path):
    check = f"folders.room(Path({str(tmp_path)!r}), 0.1, 0.01)"
    found = ask(check, f"mount({str(tmp_path)!r}, 'size=500m,nr_inodes=50')", unshare=MOUNT)
    assert found.status == "wrong"
    assert "more files; 2000 are needed (`df -i`)" in found.what
    assert ask(check, f"mount({str(tmp_path)!r}, 'size=500m')", unshare=MOUNT).status == "ok"


def test_little_room_is_a_warning(tmp_path: Path):
    assert folders.room(tmp_path, 1e9, 0).status == "warn"
    assert folders.room(tmp_path, 0, 0).status == "ok"


def test_temporary_files(tmp_path: Path):
    assert folders.temporary({}, 0, 0).status == "ok"
    assert folders.temporary({"TMPDIR": str(tmp_path)}, 0, 0).status == "ok"
    found = folders.temporary({"TMPDIR": str(tmp_path / "none")}, 0, 0)
    assert (found.status, found.do) == ("wrong", "Unset TMPDIR, or let it name one.")
    assert folders.temporary({"TMPDIR": str(tmp_path)}, 1e9, 1e9).status == "wrong"


@needs_root
@pytest.mark.parametrize(("mode", "status"), [("0777", "warn"), ("0755", "wrong"), ("1777", "ok")])
def test_a_folder_of_temporary_files_with_another_mode(mode: str, status: str):
    first = f"mount('/tmp', 'mode={mode}'); become({NOBODY})"
    assert ask("folders.temporary({}, 0, 0)", first, unshare=MOUNT).status == status


def test_the_nearest_folder_that_is_there(tmp_path: Path):
    assert str(tmp_path) in folders.room(tmp_path / "a" / "b", 0, 0).what
    assert os.listdir(tmp_path) == []
