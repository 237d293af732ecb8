"""A whole corpus under one more feature set: what is added, what stays, and what a kill costs."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus import features, open_snapshot
from corpus.contract.progress import Progress
from corpus.contract.registry import SERVICES
from corpus.errors import BlockedError, NotFoundError, NothingNewError
from corpus.features import sandboxed
from corpus.services.context import Context
from corpus.services.dispatch import run_service
from corpus.settings import Settings
from corpus.snapshots.diff import diff
from corpus.snapshots.verify import verify
from corpus.store import delta
from corpus.store.object_store import Store
from corpus.store.snapshots import Snapshot
from corpus.store.staging import Update
from tests.support.executables import real_elfs, real_pes

OLD, NEW = "basic-v1", "ember-v3"
FILES = 7
REPO = Path(__file__).resolve().parents[4]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, path in enumerate([*real_pes()[: FILES - 1], *real_elfs()[:1]]):
        shutil.copyfile(path, folder / f"{number}.exe")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "corpus"


def context(root: Path, source: Path, *sets: str, **more: Any) -> Context:
    settings = Settings.load(
        {
            "store": {"root": str(root)},
            "sources": {"urls": [str(source)]},
            "shards": {"max_files": 3},
            "features": {"sets": sets},
            **more,
        }
    )
    return replace(Context.from_settings(settings), progress=Progress(write=lambda line: None))


def update(made: Context, name: str, services: str, **collect: Any) -> None:
    for service in services.split():
        options = collect if service == "collect" else {}
        run_service(SERVICES[service].request(update=name, **options), made)


ALL = "collect ingest import-verdicts label extract group split validate publish"


def files_below(root: Path, *folders: str) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in (root / folder).rglob("*")
        if path.is_file()
    }


def delta_files(store: Store, table: str) -> list[str]:
    return sorted(delta.open_table(store, table).file_uris())


def test_old_snapshot_and_tables_stay_as_they_were(root: Path, source: Path) -> None:
    update(context(root, source, OLD), "one", ALL)
    before = files_below(root, "snapshots/one", "data", "tables", "blobs")
    old = open_snapshot("one", root=root)
    old_rows, old_vectors = old.to_arrow(), old.vectors()[1]
    tables = {table: delta_files(old.snapshot.store, table) for table in old.manifest["tables"]}

    made = context(root, source, OLD, NEW)
    update(made, "two", ALL, re_extract=True)

    after = files_below(root, "snapshots/one", "data", "tables", "blobs")
    assert {name: after.get(name) for name in before} == before
    added = {name.split("/")[1] for name in after.keys() - before.keys()}
    assert added == {f"features-{NEW}"}
    assert {t: delta_files(made.store, t) for t in tables} == tables
    again = open_snapshot("one", root=root)
    assert again.manifest == old.manifest
    assert again.feature_sets == {OLD: features.get(OLD).dim}
    assert again.to_arrow().equals(old_rows)
    assert np.array_equal(again.vectors()[1], old_vectors)
    assert verify(made.store, "one").ok

    new = open_snapshot("two", root=root)
    assert new.feature_sets == {name: features.get(name).dim for name in (OLD, NEW)}
    assert new.counts["vectors"] == {OLD: FILES, NEW: FILES}
    assert new.manifest["content_digest"] != old.manifest["content_digest"]
    assert new.to_arrow(feature_set=OLD).equals(old_rows)
    for table, entry in old.manifest["tables"].items():
        assert new.manifest["tables"][table] == entry
    blobs = {hashlib.sha256(p.read_bytes()).hexdigest(): p for p in source.iterdir()}
    rows = new.to_polars(columns=["sha256", "vector", "raw"], feature_set=NEW)
    for sha256, vector, raw in rows.iter_rows():
        expected = features.get(NEW).extract(blobs[sha256].read_bytes())
        assert np.array_equal(np.array(vector, np.float32), expected.vector)
        assert json.loads(raw) == json.loads(expected.raw)
    assert verify(made.store, "two").ok
    assert diff(made.store, "one", "two").counts["re_extracted"] == {OLD: 0, NEW: FILES}
    card = (root / "snapshots/two/card/index.html").read_text()
    assert OLD in card
    assert NEW in card


def test_a_second_time_there_is_nothing_to_do(root: Path, source: Path) -> None:
    made = context(root, source, OLD, NEW)
    update(context(root, source, OLD), "one", ALL)
    update(made, "two", ALL, re_extract=True)
    with pytest.raises(NothingNewError):
        update(made, "three", ALL, re_extract=True)
    three = Update.open(made.store, "three")
    assert three.reports("collect")[0]["known_samples"] == 0
    assert three.shards() == []
    assert Snapshot.open(made.store).id == "two"


def test_new_files_may_be_left_to_another_run(root: Path, source: Path) -> None:
    update(context(root, source, OLD), "one", ALL)
    shutil.copyfile(real_pes()[FILES], source / "new.exe")
    made = context(root, source, NEW)
    update(made, "two", ALL, re_extract=True, limit=0)
    two = Snapshot.open(made.store)
    assert two.manifest["counts"]["vectors"] == {OLD: FILES, NEW: FILES}
    update(context(root, source, OLD, NEW), "three", ALL)
    three = Snapshot.open(made.store)
    assert three.manifest["counts"]["vectors"] == {OLD: FILES + 1, NEW: FILES + 1}


def test_a_set_that_old_samples_lack_is_refused_with_the_remedy(root: Path, source: Path) -> None:
    update(context(root, source, OLD), "one", ALL)
    shutil.copyfile(real_pes()[FILES], source / "new.exe")
    made = context(root, source, OLD, NEW)
    with pytest.raises(BlockedError, match="re-extract"):
        update(made, "two", ALL)
    # Not all of it was extracted: that does not pass for done either.
    update(made, "three", "collect ingest label", re_extract=True)
    shards = Update.open(made.store, "three").shards()
    request = SERVICES["extract"].request(update="three", shards=shards[:-1])
    run_service(request, made)
    with pytest.raises(BlockedError, match=f"{NEW} vector or failure"):
        update(made, "three", "group split validate")
    update(made, "three", "extract group split validate publish")
    assert Snapshot.open(made.store).manifest["counts"]["vectors"] == {OLD: 8, NEW: 8}


def test_sets_may_be_named_service_by_service(root: Path, source: Path) -> None:
    made = context(root, source, OLD)
    update(made, "one", ALL)
    update(made, "two", "collect", re_extract=True)
    assert Update.open(made.store, "two").shards() == []
    update(made, "two", "collect", re_extract=True, feature_sets=[NEW])
    assert len(Update.open(made.store, "two").shards()) == 3
    run_service(SERVICES["extract"].request(update="two", feature_sets=[NEW]), made)
    update(made, "two", "validate publish")
    assert set(Snapshot.open(made.store).feature_sets) == {OLD, NEW}
    with pytest.raises(NotFoundError, match="no feature set 'ember-v9'"):
        update(made, "three", "collect", re_extract=True, feature_sets=["ember-v9"])


def vector_files(made: Context, name: str) -> dict[str, str]:
    found = Update.open(made.store, name)
    return {key: made.store.measure(key).sha256 for key in found.parts(f"features-{NEW}")}


class DyingStore(Store):
    """Kills its own process once it has written so many parts of vectors."""

    left = 2

    def write_bytes(self, key: str, data: bytes) -> Any:
        if f"/features-{NEW}/" in key:
            if not self.left:
                signal.raise_signal(signal.SIGKILL)
            self.left -= 1
        return super().write_bytes(key, data)


_DYING = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.corpus.services.extract import test_re_extract as t
made = t.context(Path(sys.argv[1]), Path(sys.argv[2]), t.OLD, t.NEW)
t.update(replace(made, store=t.DyingStore(sys.argv[1])), "two", "extract")
"""


def test_killed_it_goes_on_where_it_stopped(
    root: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(context(root, source, OLD), "one", ALL)
    made = context(root, source, OLD, NEW)
    update(made, "two", "collect ingest label", re_extract=True)

    # In a process of its own: one that has run Delta's threads cannot be forked.
    dying = [sys.executable, "-c", _DYING, str(root), str(source)]
    assert subprocess.run(dying, cwd=REPO, check=False).returncode == -signal.SIGKILL
    done = vector_files(made, "two")
    assert len(done) == 2

    seen = extracted(monkeypatch)
    update(made, "two", "extract")
    whole = vector_files(made, "two")
    assert len(whole) == 3
    assert done.items() <= whole.items()
    assert len(seen) == FILES - 2 * 3
    # A whole one done again costs no extraction, nor a write.
    update(made, "two", "extract")
    assert len(seen) == FILES - 2 * 3
    update(made, "two", "group split validate publish")

    other = context(root.with_name("undisturbed"), source, OLD)
    update(other, "one", ALL)
    update(context(root.with_name("undisturbed"), source, OLD, NEW), "two", ALL, re_extract=True)
    assert vector_files(other, "two") == whole
    digests = [Snapshot.open(c.store).manifest["content_digest"] for c in (made, other)]
    assert digests[0] == digests[1]
    assert verify(made.store).ok


def extracted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that go through the sandbox from now on."""
    seen: list[str] = []

    class Counting(sandboxed.Sandbox):
        def map(self, items: Any) -> Any:
            return super().map(counted(items))

    def counted(items: Any) -> Any:
        for key, data in items:
            seen.append(key)
            yield key, data

    monkeypatch.setattr(sandboxed, "Sandbox", Counting)
    return seen


@pytest.fixture
def staged(root: Path, source: Path) -> Context:
    """An update whose vectors of both sets are staged."""
    made = context(root, source, OLD, NEW, shards={"max_files": 100})
    update(made, "one", "collect ingest extract")
    return made


def mutilate(made: Context, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    one = Update.open(made.store, "one")
    table = f"features-{NEW}"
    one.write(table, change(one.read(table).to_pylist()), "shard-0000")


def without_two(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [rows[0], *rows[3:]]


def with_a_wrong_vector(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows[2]["vector"] = np.ones(features.get(NEW).dim, np.float32)
    return rows


def with_a_stranger(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*rows, {**rows[0], "sha256": "f" * 64}]


@pytest.mark.parametrize(
    ("change", "missing"), [(without_two, 2), (with_a_wrong_vector, 1), (with_a_stranger, 0)]
)
def test_only_what_is_missing_is_extracted_and_the_bytes_are_the_same(
    staged: Context,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    missing: int,
) -> None:
    whole = vector_files(staged, "one")
    mutilate(staged, change)
    assert vector_files(staged, "one") != whole
    seen = extracted(monkeypatch)
    update(staged, "one", "extract")
    assert len(seen) == missing
    assert vector_files(staged, "one") == whole
    report = Update.open(staged.store, "one").reports("extract")[0]
    assert report["vectors"] == {OLD: FILES, NEW: FILES}


def test_a_part_that_cannot_be_read_is_made_again(
    staged: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = vector_files(staged, "one")
    staged.store.write_bytes(next(iter(whole)), b"no parquet")
    seen = extracted(monkeypatch)
    update(staged, "one", "extract")
    assert len(seen) == FILES
    assert vector_files(staged, "one") == whole


def test_both_sets_of_a_file_cost_one_reading(
    root: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = context(root, source, OLD, NEW)
    update(made, "one", "collect ingest")
    seen = extracted(monkeypatch)
    update(made, "one", "extract")
    assert len(seen) == len(set(seen)) == FILES
    one = Update.open(made.store, "one")
    for name in (OLD, NEW):
        assert one.read(f"features-{name}", ["sha256"]).num_rows == FILES
