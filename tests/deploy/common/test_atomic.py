"""Files that are written whole: what a reader finds, before, after and after a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.common import atomic

REPO = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_made_then_replaced_and_nothing_else_is_left(tmp_path: Path, durable: bool):
    file = tmp_path / "file"
    atomic.write(file, "first", durable=durable)
    before = file.stat().st_ino
    atomic.write(file, b"second", durable=durable)
    assert file.read_text() == "second"
    assert file.stat().st_ino != before
    assert list(tmp_path.iterdir()) == [file]


def test_a_mode_holds_whatever_the_umask_and_from_the_first_byte_on(tmp_path: Path):
    for umask in (0o000, 0o077):
        former = os.umask(umask)
        try:
            atomic.write(tmp_path / "secret", "x", mode=0o440)
        finally:
            os.umask(former)
        assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o440


def test_without_a_mode_the_umask_decides(tmp_path: Path):
    former = os.umask(0o027)
    try:
        atomic.write(tmp_path / "file", "x")
    finally:
        os.umask(former)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_failure_leaves_the_file_as_it_was(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("old")

    def fail() -> None:
        with atomic.replacing(file) as new:
            new.write_text("half of the")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    link = tmp_path / "current"
    link.symlink_to("one")
    with atomic.replacing(link, durable=True) as new:
        new.symlink_to("two")
    assert os.readlink(link) == "two"
    assert not list((tmp_path / "one").iterdir())


def test_a_kill_in_the_middle_leaves_the_old_content(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("old")
    code = (
        "import os, sys; from pathlib import Path; from deploy.common import atomic\n"
        "with atomic.replacing(Path(sys.argv[1])) as new:\n"
        "    new.write_text('half of the'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, file], cwd=REPO, check=False)
    assert file.read_text() == "old"
    assert [one.name.startswith(atomic.NEW) for one in tmp_path.iterdir() if one != file] == [True]


def test_what_is_the_same_is_not_written_again(tmp_path: Path):
    file = tmp_path / "file"
    assert atomic.write_if_other(file, "text")
    before = file.stat()
    assert not atomic.write_if_other(file, "text")
    assert file.stat().st_ino == before.st_ino
    assert atomic.write_if_other(file, "other")
    assert file.read_text() == "other"
