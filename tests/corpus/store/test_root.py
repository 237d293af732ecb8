"""What cannot be the root of a corpus is a wrong setting, said once and in the same way everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

import corpus
from corpus.errors import BadInputError, BadSettingError, NotFoundError
from corpus.maintenance.abandon import abandon
from corpus.snapshots.verify import verify
from corpus.store.object_store import Store
from corpus.store.snapshots import Snapshot
from corpus.store.staging import existing

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("below", ["", "/corpus", "/some/corpus"])
def test_a_file_is_no_root_and_nothing_lies_below_it(below: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(BadSettingError, match="is a file, and a corpus is a folder") as refused:
        Store(f"{file}{below}")
    assert (refused.value.field, str(file) in refused.value.message) == ("store.root", True)


def test_an_unknown_protocol_is_named() -> None:
    with pytest.raises(BadSettingError, match="foo:// is not a protocol that can be used here"):
        Store("foo://bucket/corpus")


def test_a_link_to_a_folder_is_a_root_and_what_is_missing_may_become_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    for root in ("link", "folder", "folder/new", "new"):
        Store(tmp_path / root).write_bytes("a", b"1")


def test_a_root_that_is_missing_is_told_in_one_way(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    for look in (
        lambda: Snapshot.open(store),
        lambda: Snapshot.open(store, "one"),
        lambda: verify(store),
        lambda: existing(store, "one"),
        lambda: abandon(store, "one"),
        store.require_root,
        lambda: corpus.open_snapshot(root=tmp_path / "none"),
    ):
        with pytest.raises(NotFoundError) as told:
            look()
        assert told.value.message == f"{tmp_path}/none does not exist."
    (tmp_path / "none").mkdir()
    with pytest.raises(NotFoundError, match="has no snapshot yet"):
        Snapshot.open(store)


def test_a_snapshot_has_a_name(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="Name a snapshot by its id, or `latest`"):
        corpus.open_snapshot(None, root=tmp_path)  # type: ignore[arg-type]
