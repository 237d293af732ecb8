"""Files of the containers' user, made and removed by the engine: a person need not be root for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.local.cluster import ownership
from deploy.local.cluster.workdir import UID

IMAGE = "corpus-airflow:latest"
pytestmark = pytest.mark.usefixtures("engine")


def test_files_and_folders_are_handed_over_with_the_callers_group(tmp_path: Path):
    folder, file = tmp_path / "a folder", tmp_path / "secrets" / "-a file"
    folder.mkdir()
    file.parent.mkdir()
    file.write_text("x")
    file.chmod(0o440)
    ownership.hand_over([folder, file], IMAGE)
    for path in (folder, file):
        assert (path.stat().st_uid, path.stat().st_gid) == (UID, os.getgid())
    assert file.stat().st_mode & 0o777 == 0o440
    assert file.parent.stat().st_uid == os.getuid()


def test_what_belongs_to_them_already_needs_no_container(tmp_path: Path):
    ownership.hand_over([tmp_path], IMAGE)
    ownership.hand_over([tmp_path], "no-such-image")


def test_a_folder_of_others_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "corpus"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "-file").write_text("x")
    ownership.hand_over([folder, folder / "inner"], IMAGE)

    def refused(path: Path) -> None:
        raise PermissionError(path)

    # As it ends for whoever is not root.
    monkeypatch.setattr(ownership.shutil, "rmtree", refused)
    ownership.remove(folder, IMAGE)
    assert not folder.exists()
    monkeypatch.undo()
    ownership.remove(folder, IMAGE)
