"""Which corpora are opened, and which are refused for their format."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from corpus import open_snapshot
from corpus.errors import BadInputError, DamagedError, NotFoundError
from corpus.maintenance.abandon import abandon
from corpus.maintenance.clean import clean
from corpus.snapshots.verify import verify
from corpus.store import format as formats
from corpus.store.object_store import Store, to_json
from corpus.store.snapshots import EmptySnapshot, Snapshot
from corpus.store.staging import Update, existing
from tests.support.building import build, context
from tests.support.workspaces import tree

EARLIER = (
    "was written by an earlier, unreleased version of corpus-airflow (format 1); this version reads "
    "format 2. Start a new corpus folder."
)
# Whatever opens a corpus for work or for reading.
OPENERS: dict[str, Callable[[Store], object]] = {
    "update": lambda store: Update.open(store, "new"),
    "existing": lambda store: existing(store, "u"),
    "latest": Snapshot.latest,
    "open": lambda store: Snapshot.open(store, "u"),
    "every": Snapshot.every,
    "reader": lambda store: open_snapshot("u", store.path),
    "verify": lambda store: verify(store, "u"),
    "clean": lambda store: clean(store, timedelta(0)),
    "abandon": lambda store: abandon(store, "u"),
}
opened_by = pytest.mark.parametrize("opener", list(OPENERS.values()), ids=list(OPENERS))


def write(root: Path, files: dict[str, object]) -> Store:
    for key, value in files.items():
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(to_json(value))
    return Store(root)


def unreleased(root: Path) -> Store:
    """A corpus with one snapshot as the code before the first release wrote it."""
    tables = {"seen_files": {"version": 0, "files": []}, "samples": {"version": 0, "files": []}}
    manifest = {
        "format": 1, "id": "u", "sequence": 1, "parent": None, "tables": tables, "counts": {},
        "feature_sets": {}, "manifest_digest": "0" * 64,
    }  # fmt: skip
    record = {"id": "u", "base": None, "began_at": "2026-01-01T00:00:00+00:00", "run": {}}
    return write(
        root,
        {
            "staging/u/update.json": record,
            "snapshots/log/00000001.json": {"sequence": 1, "update": "u", "plan": "0" * 64},
            "snapshots/u/manifest.json": manifest,
            "snapshots/latest.json": {"id": "u", "manifest_digest": "0" * 64},
        },
    )


@opened_by
def test_an_unreleased_corpus_is_refused_and_left_as_it_is(
    tmp_path: Path, opener: Callable[[Store], object]
) -> None:
    store = unreleased(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(BadInputError) as caught:
        opener(store)
    assert str(caught.value) == f"{tmp_path}: {EARLIER}"
    assert tree(tmp_path) == before


def test_an_unreleased_corpus_without_a_snapshot_is_refused(tmp_path: Path) -> None:
    store = write(tmp_path, {"staging/u/update.json": {"id": "u", "base": None}})
    with pytest.raises(BadInputError, match="earlier, unreleased version"):
        Update.open(store, "new")


@opened_by
def test_a_newer_corpus_is_refused(tmp_path: Path, opener: Callable[[Store], object]) -> None:
    store = write(tmp_path, {formats.KEY: {"format": 3}})
    with pytest.raises(BadInputError) as caught:
        opener(store)
    assert str(caught.value) == (
        f"{tmp_path}: was written by a newer version of corpus-airflow (format 3); this version reads "
        "format 2. Upgrade corpus-airflow."
    )


def test_a_manifest_of_another_format_is_refused(tmp_path: Path) -> None:
    made = context(tmp_path)
    build(made, "u", range(3))
    key = "snapshots/u/manifest.json"
    made.store.write_json(key, {**made.store.read_json(key), "format": 1})
    with pytest.raises(BadInputError) as caught:
        Snapshot.open(made.store, "u")
    assert str(caught.value) == f"{tmp_path}/{key}: {EARLIER}"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "2"}', '{"format": true}', "\xff"])
def test_a_damaged_format_is_said_to_be_so(tmp_path: Path, content: str) -> None:
    (tmp_path / formats.KEY).write_bytes(content.encode("latin-1"))
    with pytest.raises(DamagedError, match=r"format\.json"):
        Snapshot.latest(Store(tmp_path))


def test_the_first_update_writes_the_format(tmp_path: Path) -> None:
    store = Store(tmp_path / "corpus")
    Update.open(store, "u")
    assert json.loads((tmp_path / "corpus" / formats.KEY).read_bytes()) == {"format": 2}
    assert existing(Store(tmp_path / "corpus"), "u").id == "u"


def test_who_reads_an_empty_corpus_writes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert isinstance(Snapshot.latest(store), EmptySnapshot)
    with pytest.raises(NotFoundError):
        verify(store)
    clean(store, timedelta(0), blobs=True)
    assert tree(tmp_path) == []
    Update.open(store, "after")
    assert formats.KEY in tree(tmp_path)


def test_many_may_begin_a_corpus_at_once(tmp_path: Path) -> None:
    names = [f"u{number}" for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(lambda name: Update.open(Store(tmp_path / "c"), name).id, names))
    assert begun == names
    assert formats.KEY in tree(tmp_path / "c")


def test_the_command_says_it_in_one_sentence(tmp_path: Path) -> None:
    unreleased(tmp_path)
    command = [sys.executable, "-m", "corpus", "--root", str(tmp_path), "snapshots", "list"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.replace("\n", " ").strip().endswith(f"{tmp_path}: {EARLIER}")
