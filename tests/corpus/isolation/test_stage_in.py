"""What a workspace is made of, and where one may be made."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corpus.contract.requests import CollectRequest
from corpus.errors import BadInputError, PassingFaultError
from corpus.isolation.stage_in import stage_in
from corpus.services.collect.service import collect
from corpus.services.context import Context
from corpus.services.inputs.copied_files import CopiedFiles
from corpus.settings import Settings
from corpus.store.object_store import Store
from corpus.store.staging import Update
from tests.support import small_disk as disks
from tests.support.privileges import not_root
from tests.support.workspaces import quiet, request, staged_in, tree, worked


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abcd":
        (folder / name).write_bytes(b"text of " + name.encode())
    return folder


@pytest.fixture
def made(tmp_path: Path, source: Path) -> Context:
    settings = Settings.load({"sources": {"urls": [str(source)]}, "shards": {"max_files": 2}})
    context = quiet(settings, Store(tmp_path / "corpus"))
    collect(CollectRequest(update="u"), context)
    return context


def test_only_what_is_needed(made: Context, tmp_path: Path, source: Path) -> None:
    folder = tmp_path / "workspace"
    report = staged_in(made, "ingest", folder, shards=["shard-0001"])
    assert report.model_dump() == {
        "service": "ingest", "update": "u", "shards": ["shard-0001"], "files": 2, "bytes": 18,
    }  # fmt: skip
    assert tree(folder) == [
        "format.json",
        "staging/u/candidates/shard-0001.parquet",
        "staging/u/update.json",
        "workspace/sources.json",
        "workspace/sources/0",
        "workspace/sources/1",
        "workspace/task.json",
    ]
    record = Store(folder).read_json("staging/u/update.json")
    began = Update.open(made.store, "u").record["began_at"]
    assert record == {"id": "u", "parent": None, "began_at": began, "run": {}, "sequence": 1}
    files = CopiedFiles(Store(folder))
    location = str(source / "c")
    assert files.open(location).read() == b"text of c"
    (candidate, _) = Update.open(made.store, "u").read("candidates", part="shard-0001").to_pylist()
    assert files.stat(location).fingerprint() == candidate["fingerprint"]


def test_a_known_sample_is_no_file_to_copy(made: Context, tmp_path: Path) -> None:
    update = Update.open(made.store, "u")
    update.write("candidates", [{"known_sha256": "0" * 64, "size": 5}], "shard-0000")
    assert staged_in(made, "ingest", tmp_path / "workspace", shards=["shard-0000"]).files == 0


def test_the_original_is_out_of_reach(made: Context, tmp_path: Path, source: Path) -> None:
    staged_in(made, "ingest", tmp_path / "workspace")
    for name in range(4):
        (tmp_path / f"workspace/workspace/sources/{name}").write_bytes(b"overwritten")
    assert [path.read_bytes() for path in sorted(source.iterdir())] == [
        b"text of " + name for name in (b"a", b"b", b"c", b"d")
    ]


def test_a_file_in_two_shards_is_copied_once(made: Context, tmp_path: Path) -> None:
    update = Update.open(made.store, "u")
    rows = update.read("candidates", part="shard-0000").to_pylist()
    expected = [{**row, "expected_sha256": "0" * 64} for row in rows]
    update.write("candidates", rows + expected, "shard-0001")
    assert staged_in(made, "ingest", tmp_path / "workspace").files == 2


def test_where_a_workspace_may_be(made: Context, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    staged_in(made, "ingest", other)
    (other / "workspace/sources/x").write_bytes(b"left by a sandbox")
    (other / "link").symlink_to(tmp_path / "in")
    staged_in(made, "ingest", other)
    assert "workspace/sources/x" not in tree(other)
    assert not (other / "link").is_symlink()
    assert len(list((tmp_path / "in").iterdir())) == 4
    before = tree(tmp_path / "corpus")
    with pytest.raises(BadInputError, match="is neither empty nor a workspace"):
        staged_in(made, "ingest", tmp_path / "corpus")
    assert tree(tmp_path / "corpus") == before
    with pytest.raises(BadInputError, match="cannot be made a workspace"):
        staged_in(made, "ingest", tmp_path / "in" / "a")


def test_a_folder_of_that_name_makes_no_workspace_of_a_corpus(
    made: Context, tmp_path: Path
) -> None:
    """Somebody's own folder in the corpus: services go on to read the sources, and sync what they write."""
    (tmp_path / "corpus/workspace").mkdir()
    (tmp_path / "corpus/workspace/notes.txt").write_text("mine")
    report = worked(made, "ingest", tmp_path / "corpus")
    assert report.model_dump()["unsupported"] == {"text": 4}


def test_a_source_that_may_not_be_read_says_why_in_the_workspace(
    made: Context, tmp_path: Path, source: Path
) -> None:
    (source / "a").chmod(0)
    folder = tmp_path / "workspace"
    folder.mkdir()
    folder.chmod(0o777)
    with not_root(tmp_path):
        staged_in(made, "ingest", folder)
    files = CopiedFiles(Store(folder))
    for ask in (files.open, files.stat):
        with pytest.raises(PermissionError) as error:
            ask(str(source / "a"))
        assert stat.S_IMODE(os.stat(source / "a").st_mode) == 0
        assert error.value.errno == 13


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    with disks.small_disk(tmp_path / "disk", 1) as place:
        yield place


@pytest.mark.parametrize("service", ["ingest", "extract"])
def test_a_full_disk_is_a_passing_fault(
    made: Context, source: Path, small_disk: Path, service: str
) -> None:
    (source / "a").write_bytes(b"\x1f\x8b\x08" + os.urandom(2 << 20))
    if service == "extract":
        update = Update.open(made.store, "u")
        update.write("samples", [{"sha256": "0" * 64}], "shard-0000")
        made.store.write_bytes(f"blobs/sha256/00/00/{'0' * 64}.zst", os.urandom(2 << 20))
    with pytest.raises(PassingFaultError) as error:
        staged_in(made, service, small_disk / "workspace")
    assert error.value.exit_status == 75


def test_an_update_is_needed(made: Context, tmp_path: Path) -> None:
    asked: Any = request("ingest", None)
    with pytest.raises(BadInputError, match="an update is needed"):
        stage_in(asked, made, tmp_path / "workspace")
