"""The check at the end of a soak finds each leak that is planted, and nothing where there is none."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from corpus.contract.registry import SERVICES
from corpus.maintenance.clean import clean
from corpus.store import delta
from corpus.store.claims import Claim, take_claim
from corpus.store.object_store import Store
from corpus.store.schemas import SAMPLES
from corpus.store.snapshots import Snapshot
from corpus.store.staging import Update
from tests.support.killed_chain import context, run
from tests.support.processes import of_folder
from tests.system.soak.end_check import corpus_faults, settle, tidy
from tests.system.soak.left_over import held_locks, secrets_in, temporaries
from tests.system.soak.offers import Offers

NOBODY = "a" * 64


@dataclass(frozen=True)
class Corpus:
    """A corpus on disk, and what its sources have had."""

    root: Path
    offered: list[str]

    @property
    def store(self) -> Store:
        return Store(self.root)

    def faults(self) -> list[str]:
        return corpus_faults(self.store, self.offered)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """One update, published by the services and tidied up."""
    folder = tmp_path_factory.mktemp("published")
    offers = Offers(folder / "in", seed=1)
    made = context(folder / "corpus", offers.samples, offers.verdicts)
    for service in SERVICES:
        run(service, made)
    tidy(made.store)
    return Corpus(folder / "corpus", offers.offered)


@pytest.fixture
def corpus(published: Corpus, tmp_path: Path) -> Corpus:
    """A copy, to plant something in."""
    return replace(published, root=Path(shutil.copytree(published.root, tmp_path / "corpus")))


def a_staged_update(corpus: Corpus) -> None:
    Update.open(corpus.store, "u9")


def a_claim(corpus: Corpus) -> None:
    at = "2026-01-01T00:00:00+00:00"
    take_claim(corpus.store, Claim(sequence=2, update="u9", plan="0", note="", created_at=at))


def half_a_snapshot(corpus: Corpus) -> None:
    corpus.store.write_json("snapshots/u9/stats.json", {})


def a_temporary_file(corpus: Corpus) -> None:
    (corpus.root / "data" / ".tmp-1-2-3").touch()


def a_blob(corpus: Corpus) -> None:
    corpus.store.write_bytes(f"blobs/sha256/aa/aa/{NOBODY}.zst", b"")


def data_of_no_snapshot(corpus: Corpus) -> None:
    corpus.store.write_bytes(f"data/samples/{NOBODY}.parquet", b"")


def a_file_of_no_commit(corpus: Corpus) -> None:
    corpus.store.write_bytes("tables/samples/u9-0.parquet", b"")


def rows_a_second_time(corpus: Corpus) -> None:
    store = corpus.store
    (entry,) = Snapshot.open(store).files("samples")
    file = replace(store.measure(entry["key"]), rows=entry["rows"])
    delta.append(store, "samples", SAMPLES.schema, [file], "u9")


def a_lost_blob(corpus: Corpus) -> None:
    corpus.store.delete_files([corpus.store.list("blobs")[0]])


def a_damaged_file(corpus: Corpus) -> None:
    (entry,) = Snapshot.open(corpus.store).files("splits")
    path = Path(corpus.store.full(entry["key"]))
    path.write_bytes(path.read_bytes() + b"!")


def a_sample_that_was_not_taken(corpus: Corpus) -> None:
    corpus.offered.append(NOBODY)


def a_sample_that_was_not_offered(corpus: Corpus) -> None:
    corpus.offered.pop()


def test_nothing_is_found_where_there_is_nothing(published: Corpus):
    assert published.faults() == []


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (a_staged_update, "staged by nobody: staging/u9/update.json"),
        (a_claim, "claim without a snapshot: snapshots/log/00000002.json"),
        (half_a_snapshot, "of a snapshot that is none: snapshots/u9/stats.json"),
        (a_temporary_file, "temporary: "),
        (a_blob, "blob of a sample that was never offered: "),
        (data_of_no_snapshot, "data that no snapshot lists: "),
        (a_file_of_no_commit, "of no commit: tables/samples/u9-0.parquet"),
        (rows_a_second_time, "Delta table samples has a sample 2 times: "),
        (a_lost_blob, "verify u1: blobs/"),
        (a_damaged_file, "verify u1: data/splits/"),
        (a_sample_that_was_not_taken, f"table samples lacks a sample: {NOBODY}"),
        (a_sample_that_was_not_offered, "table samples has a sample that was never offered: "),
    ],
)
def test_a_planted_leak_is_found(corpus: Corpus, plant: Callable[[Corpus], None], found: str):
    planted = replace(corpus, offered=list(corpus.offered))
    plant(planted)
    assert [fault for fault in planted.faults() if fault.startswith(found)]


def test_what_nobody_will_finish_is_given_up_or_published_as_its_operator_would(tmp_path: Path):
    offers = Offers(tmp_path / "in", seed=1)
    made = context(tmp_path / "corpus", offers.samples, offers.verdicts)
    run("collect", made)
    assert list(settle(made.store)) == ["abandoned u1"]
    tidy(made.store)
    assert clean(made.store, timedelta(0), dry_run=True).unfinished == []
    assert made.store.list("staging") == []


def test_what_work_leaves_in_folders_and_processes_is_found(tmp_path: Path):
    folder = tmp_path / "work"
    folder.mkdir()
    lock, mark = folder / "use.lock", ("CORPUS_SOAK_TEST", str(folder))
    assert [*temporaries(folder), *held_locks(folder), *of_folder(folder, mark)] == []
    lock.touch()
    (folder / ".new-file").touch()
    (folder / "log").write_text("password=c29tZXRoaW5nIHNlY3JldA==")
    with lock.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        assert held_locks(folder) == [f"locked: {lock}"]
    assert held_locks(folder) == []
    assert temporaries(folder) == [f"temporary: {folder / '.new-file'}"]
    assert secrets_in(folder, ["something secret"]) == [f"secret in {folder / 'log'}"]
    assert secrets_in(folder, ["another secret"]) == []
    command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
    process = subprocess.Popen(command, env=dict([mark]), stdout=subprocess.PIPE)
    try:
        assert process.stdout
        process.stdout.readline()
        assert [one.pid for one in of_folder(folder, mark)] == [process.pid]
    finally:
        process.kill()
        process.communicate()
    assert of_folder(folder, mark) == []
