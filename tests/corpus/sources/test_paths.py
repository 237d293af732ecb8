"""Folders and lists become paths, in an order that depends on nothing but their names."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from corpus.sources.paths import expand, read_list
from tests.support.privileges import not_root

pytestmark = pytest.mark.fast


def test_a_folder_is_its_files_sorted_as_paths(tmp_path: Path):
    for name in ("b/x", "b.c", "b!", "b/a/deep", "b-/y", "a", "B", ".hidden/z", "é"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "to-folder").symlink_to("b")
    (tmp_path / "to-file").symlink_to("a")
    (tmp_path / "to-nothing").symlink_to("nothing")
    found = list(expand([str(tmp_path)]))
    files = [str(path) for path in tmp_path.rglob("*") if not path.is_dir()]
    assert found == sorted(files)
    assert str(tmp_path / "to-nothing") in found


def test_other_paths_stay_as_they_are_in_their_place(tmp_path: Path):
    (tmp_path / "f").touch()
    given = ["gone", str(tmp_path), "gone", str(tmp_path / "f")]
    assert list(expand(given)) == ["gone", str(tmp_path / "f"), "gone", str(tmp_path / "f")]


def test_a_folder_that_cannot_be_listed_is_given_as_it_is(tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    with not_root(tmp_path):
        assert list(expand([str(closed)])) == [str(closed)]


def test_a_list_has_a_path_a_line():
    lines = b"a\n\n b c \r\n\t\n\xff\nlast"
    assert list(read_list(io.BytesIO(lines))) == ["a", " b c ", os.fsdecode(b"\xff"), "last"]
