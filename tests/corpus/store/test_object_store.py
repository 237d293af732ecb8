from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from corpus.errors import BadInputError, BadSettingError, NotFoundError, PassingFaultError
from corpus.store.object_store import Store, to_json

pytestmark = pytest.mark.fast


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "corpus")


def test_bytes_are_read_back(store: Store) -> None:
    written = store.write_bytes("a/b", b"one")
    assert store.read_bytes("a/b") == b"one"
    assert store.measure("a/b") == written
    assert (store.size("a/b"), store.exists("a/b"), store.exists("a/c")) == (3, True, False)
    store.write_bytes("a/b", b"two")
    assert store.read_bytes("a/b") == b"two"


def test_what_is_not_there(store: Store) -> None:
    for read in (store.read_bytes, store.measure, store.open):
        with pytest.raises(NotFoundError, match="nothing does not exist"):
            read("nothing")
    assert store.list("nothing") == []
    store.delete("nothing")


@pytest.mark.parametrize("key", ["../out", "a/../../out", "/etc/passwd", "a\0", "a" * 5_000, ".."])
def test_a_key_does_not_lead_out_of_the_store(store: Store, tmp_path: Path, key: str) -> None:
    (tmp_path / "out").write_text("planted")
    for act in (
        store.read_bytes,
        store.size,
        store.list,
        store.delete,
        store.measure,
        store.exists,
    ):
        with pytest.raises(BadInputError):
            act(key)
    with pytest.raises(BadInputError):
        store.write_bytes(key, b"")
    with pytest.raises(BadInputError):
        store.dataset([key], pa.schema([]))
    assert (tmp_path / "out").read_text() == "planted"


def test_create_once(store: Store) -> None:
    assert store.create_bytes("log/1", b"first")
    assert not store.create_bytes("log/1", b"second")
    assert store.read_bytes("log/1") == b"first"


def test_of_many_creators_one_wins(store: Store) -> None:
    for race in range(20):
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda n: store.create_bytes(f"log/{race}", b"%d" % n), range(8)))  # noqa: B023
        assert won.count(True) == 1
        assert store.read_bytes(f"log/{race}") == b"%d" % won.index(True)


def test_no_temporary_file_is_left_or_listed(store: Store) -> None:
    store.write_bytes("a/b", b"1")
    store.create_bytes("a/b", b"2")
    assert os.listdir(store.full("a")) == ["b"]
    Path(store.full("a/.tmp-1-2-3")).write_bytes(b"half")
    assert store.list("a") == ["a/b"]
    assert store.list("") == ["a/b"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_passes_and_leaves_the_old_bytes(
    store: Store, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    store.write_bytes("a/b", b"old")

    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(PassingFaultError, match="a/b"):
        store.write_bytes("a/b", b"new")
    assert store.read_bytes("a/b") == b"old"
    assert os.listdir(store.full("a")) == ["b"]


def test_a_fleeting_store_waits_for_no_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    fleeting = store.fleeting()
    fleeting.write_bytes("a", b"one")
    assert fleeting.create_bytes("b", b"two")
    assert not fleeting.create_bytes("b", b"three")
    fleeting.copy("a", "c")
    assert not synced
    assert [store.read_bytes(key) for key in store.list("")] == [b"one", b"two", b"one"]
    store.write_bytes("a", b"new")
    assert len(synced) == 2


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_root_that_refuses_writes_is_a_wrong_setting(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", refuse)
    for write in (store.write_bytes, store.create_bytes):
        with pytest.raises(BadSettingError, match="a/b cannot be written") as caught:
            write("a/b", b"new")
        assert caught.value.field == "store.root"
    assert store.list("") == []


def test_a_copy_is_another_name(store: Store) -> None:
    store.write_bytes("a", b"one")
    store.copy("a", "b/c")
    assert os.path.samefile(store.full("a"), store.full("b/c"))
    store.write_bytes("a", b"two")
    store.copy("a", "b/c")
    assert store.read_bytes("b/c") == b"one"
    store.delete("a")
    assert store.read_bytes("b/c") == b"one"


def test_without_hard_links_bytes_are_copied(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write_bytes("a", b"one")

    def refuse(source: str, target: str) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr("os.link", refuse)
    store.copy("a", "b/c")
    assert store.read_bytes("b/c") == b"one"
    assert not os.path.samefile(store.full("a"), store.full("b/c"))


def test_json_is_canonical(store: Store) -> None:
    store.write_json("x.json", {"b": 1, "a": "ü"})
    assert store.read_bytes("x.json") == '{\n  "a": "ü",\n  "b": 1\n}\n'.encode()
    assert to_json({"a": 1, "b": 2}) == to_json({"b": 2, "a": 1})
    assert store.read_json("x.json") == {"a": "ü", "b": 1}


def test_the_same_rows_are_the_same_bytes(store: Store) -> None:
    rows = pa.table({"sha256": ["a", "b"], "n": [1, None]})
    first, second = store.write_table("1.parquet", rows), store.write_table("2.parquet", rows)
    assert (first.sha256, first.rows) == (second.sha256, 2)
    assert store.dataset(["1.parquet", "2.parquet"], rows.schema).count_rows() == 4
