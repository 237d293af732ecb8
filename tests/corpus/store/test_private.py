"""A corpus on a disk is for its owner and the owner's group, whatever folder it lies in."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from corpus.snapshots.verify import verify
from corpus.store.object_store import Store
from tests.support.building import build_two


@contextmanager
def umask(value: int) -> Iterator[None]:
    former = os.umask(value)
    try:
        yield
    finally:
        os.umask(former)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_to_others(folder: Path) -> list[Path]:
    """What another user of the machine finds below a folder that is open to all."""
    found = []
    for entry in folder.iterdir():
        if mode(entry) & stat.S_IRWXO:
            found.append(entry)
        if entry.is_dir() and mode(entry) & stat.S_IXOTH:
            found += open_to_others(entry)
    return found


def test_no_file_of_a_corpus_is_for_other_users_even_in_a_folder_that_is(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    root.mkdir()
    root.chmod(0o755)
    with umask(0o000):
        build_two(root)
    assert open_to_others(root) == []
    assert verify(Store(root)).ok
    assert mode(root) == 0o755


@pytest.mark.parametrize(("mask", "file", "folder"), [(0o022, 0o640, 0o750), (0o002, 0o660, 0o770), (0o077, 0o600, 0o700)])  # fmt: skip
def test_what_the_group_may_do_is_the_umasks_affair(
    mask: int, file: int, folder: int, tmp_path: Path
) -> None:
    store = Store(tmp_path / "new" / "corpus")
    with umask(mask):
        store.write_bytes("a/b/one", b"1")
        store.create_bytes("a/c/two", b"2")
        store.copy("a/b/one", "d/e/three")
    made = [tmp_path / "new", *(tmp_path / "new").rglob("*")]
    assert {mode(path) for path in made if path.is_file()} == {file}
    assert {mode(path) for path in made if path.is_dir()} == {folder}


def test_a_folder_that_hands_on_its_group_does_so(tmp_path: Path) -> None:
    """How several users share a corpus: chgrp TEAM and chmod g+s on its root."""
    root = tmp_path / "corpus"
    root.mkdir()
    root.chmod(0o2750)
    with umask(0o022):
        Store(root).write_bytes("a/b", b"1")
    assert (root / "a").stat().st_mode & stat.S_ISGID
    assert (root / "a" / "b").stat().st_gid == root.stat().st_gid
