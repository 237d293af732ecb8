"""A workspace answers as the corpus does, for what it was staged in for."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.contract.requests import CollectRequest, IngestRequest
from corpus.errors import BadInputError
from corpus.services.collect.service import collect
from corpus.services.context import Context
from corpus.settings import Settings, StoreSettings
from corpus.store.staging import Update
from tests.support.workspaces import staged_in

OLD, NEW = "0" * 64, "1" * 64
# Any request that names the update.
OF_U = IngestRequest(update="u")


def of(root: Path, **sections: object) -> Context:
    return Context.from_settings(Settings.load({**sections, "store": {"root": str(root)}}))


@pytest.fixture
def made(tmp_path: Path) -> Context:
    """A corpus whose update `u` has two shards of one file each, the second with a new sample."""
    (tmp_path / "in").mkdir()
    for name in "ab":
        (tmp_path / "in" / name).write_bytes(b"text of " + name.encode())
    sections = {"sources": {"urls": [str(tmp_path / "in")]}, "shards": {"max_files": 1}}
    context = of(tmp_path / "corpus", **sections)
    collect(CollectRequest(update="u"), context)
    update = context.resume(OF_U)
    update.write("candidates", [{"known_sha256": OLD, "size": 5}], "shard-0000")
    update.write("samples", [{"sha256": NEW}], "shard-0001")
    return context


def inside(context: Context, folder: Path) -> tuple[Context, Update]:
    store = StoreSettings(root=str(folder))
    opened = Context.from_settings(context.settings.model_copy(update={"store": store}))
    return opened, opened.resume(OF_U)


def test_source_files(made: Context, tmp_path: Path) -> None:
    staged_in(made, "ingest", tmp_path / "room", shards=["shard-0001"])
    opened, update = inside(made, tmp_path / "room")
    assert made.inputs.shards_to_ingest(made.resume(OF_U)) == ["shard-0000", "shard-0001"]
    assert opened.inputs.shards_to_ingest(update) == ["shard-0001"]
    location = str(tmp_path / "in" / "b")
    original = made.files(made.resume(OF_U))
    copied = opened.files(update)
    assert copied.open(location).read() == original.open(location).read() == b"text of b"
    Path(location).unlink()
    assert copied.open(location).read() == b"text of b"
    with pytest.raises(FileNotFoundError):
        original.open(location)


def test_pending_samples(made: Context, tmp_path: Path) -> None:
    sets = ["basic-v1", "ember-v3"]
    shards = ["shard-0000", "shard-0001"]
    staged_in(made, "extract", tmp_path / "room", feature_sets=sets)
    opened, update = inside(made, tmp_path / "room")
    for context, own in ((made, made.resume(OF_U)), (opened, update)):
        assert context.inputs.shards_to_extract(own) == shards
        assert context.inputs.pending(own, sets, "shard-0000") == {OLD: tuple(sets)}
        assert context.inputs.pending(own, sets, "shard-0001") == {NEW: tuple(sets)}
        assert context.inputs.pending(own, ["ember-v3"], "shard-0001") == {NEW: ("ember-v3",)}
    with pytest.raises(BadInputError, match="was not staged in for 'corpus-v1'"):
        opened.inputs.pending(update, ["corpus-v1"], "shard-0001")


def test_a_workspace_waits_for_no_disk_and_a_corpus_does(made: Context, tmp_path: Path) -> None:
    staged_in(made, "ingest", tmp_path / "room")
    opened, update = inside(made, tmp_path / "room")
    assert (opened.store.durable, update.store.durable) == (False, False)
    assert made.resume(OF_U).store.durable
