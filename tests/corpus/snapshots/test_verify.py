from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from corpus.contract.requests import PublishRequest
from corpus.errors import NotFoundError
from corpus.services.context import Context
from corpus.services.publish.service import publish
from corpus.snapshots.verify import verify
from corpus.store import blobs
from corpus.store import manifest as manifests
from corpus.store.object_store import Store
from corpus.store.snapshots import LATEST, Snapshot
from corpus.store.staging import Update
from tests.support.building import (
    VECTORS,
    build,
    build_two,
    context,
    group_row,
    label_row,
    sha,
    split_row,
    stage,
    vector_row,
)

# Every kind of file that snapshot `two` consists of; `*` may be any of several.
KINDS = [
    "data/samples/*", "data/labels/*", "data/groups/*", "data/splits/*", f"data/{VECTORS}/*",
    "data/failures/*", "data/seen_files/*", "blobs/sha256/*/*/*", "snapshots/latest.json",
    "snapshots/log/00000001.json", "snapshots/log/00000002.json", "snapshots/one/manifest.json",
    "snapshots/two/manifest.json", "snapshots/two/stats.json", "snapshots/two/card/*.html",
    "snapshots/two/card/*.json",
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole") / "corpus"
    build_two(root)
    return root


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Store:
    shutil.copytree(whole, tmp_path / "corpus")
    return Store(tmp_path / "corpus")


def test_an_undamaged_snapshot(whole: Path) -> None:
    store = Store(whole)
    report = verify(store)
    assert report.ok
    assert report.findings == []
    assert (report.snapshot, report.blobs, report.vectors) == ("two", 30, 30)
    assert report.content_digest == Snapshot.open(store).manifest["content_digest"]
    assert verify(store, "two", blobs=False).blobs == 0


def test_an_older_snapshot_is_its_own(whole: Path) -> None:
    report = verify(Store(whole), "one")
    assert (report.ok, report.blobs) == (True, 20)


@pytest.mark.parametrize("place", ["first", "middle", "last", "anywhere"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_flipped_bit_is_found(copy: Store, kind: str, place: str) -> None:
    path = sorted(Path(copy.path).glob(kind))[-1]
    data = bytearray(path.read_bytes())
    chance = random.Random(f"{kind} {place}")
    offset = {"first": 0, "middle": len(data) // 2, "last": len(data) - 1}.get(
        place, chance.randrange(len(data))
    )
    data[offset] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    report = verify(copy, "two")
    assert not report.ok
    assert path.relative_to(copy.path).as_posix() in {finding.key for finding in report.findings}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "manifest" not in kind])
def test_a_missing_file_is_found(copy: Store, kind: str) -> None:
    path = sorted(Path(copy.path).glob(kind))[-1]
    path.unlink()
    keys = {finding.key for finding in verify(copy, "two").findings}
    assert path.relative_to(copy.path).as_posix() in keys


def test_a_shortened_file_is_found(copy: Store) -> None:
    key = Snapshot.open(copy).files("labels")[0]["key"]
    copy.write_bytes(key, copy.read_bytes(key)[:-1])
    (finding,) = verify(copy).findings
    assert finding.key == key
    assert "bytes, not" in finding.problem


def test_damage_does_not_hide_other_damage(copy: Store) -> None:
    label = Snapshot.open(copy).files("labels")[0]["key"]
    copy.write_bytes(label, b"PAR1")
    copy.write_bytes(blobs.key(sha(3)), b"")
    keys = {finding.key for finding in verify(copy).findings}
    assert keys == {label, blobs.key(sha(3))}


def test_a_blob_of_other_content_is_found(copy: Store) -> None:
    copy.write_bytes(blobs.key(sha(3)), copy.read_bytes(blobs.key(sha(4))))
    (finding,) = verify(copy).findings
    assert finding.key == blobs.key(sha(3))


def test_another_file_under_a_listed_name_is_found(copy: Store) -> None:
    first, second = Snapshot.open(copy).files("samples")
    copy.write_bytes(first["key"], copy.read_bytes(second["key"]))
    assert {finding.key for finding in verify(copy).findings} == {first["key"]}


def test_an_exchanged_parent_is_found(copy: Store, tmp_path: Path) -> None:
    other = context(tmp_path / "other")
    build(other, "one", range(20))
    key = manifests.manifest_key("one")
    copy.write_bytes(key, other.store.read_bytes(key))
    problems = [finding.problem for finding in verify(copy, "two").findings]
    assert "is not the parent that two was built on" in problems


def test_no_such_snapshot(whole: Path) -> None:
    for name in ("three", "../one", "one/card"):
        with pytest.raises(NotFoundError):
            verify(Store(whole), name)


def test_an_empty_corpus_has_nothing_to_verify(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no snapshot yet"):
        verify(Store(tmp_path))


def test_latest_that_names_nothing(copy: Store) -> None:
    copy.write_bytes(LATEST, b"{")
    assert [finding.key for finding in verify(copy).findings] == [LATEST]


def forced(made: Context, update: Update) -> None:
    """Publish what no gate has judged."""
    update.write_report(
        "validate", {"staged_digest": update.staged_digest(), "result": "pass", "gates": []}
    )
    publish(PublishRequest(update=update.id), made)


@pytest.mark.parametrize(
    ("table", "rows", "problem"),
    [
        ("labels", [label_row(n) for n in range(5)], "1 samples without a label"),
        ("groups", [group_row(n) for n in range(5)], "1 samples without a group"),
        ("splits", [split_row(n) for n in range(5)], "1 samples without a split"),
        ("groups", [group_row(n, 0) for n in range(6)], "1 groups on more than one side"),
        ("groups", [group_row(n) for n in range(7)], "1 rows of groups whose sample is not there"),
        ("splits", [split_row(n) for n in range(7)], "1 rows of splits whose sample is not there"),
    ],
)
def test_rows_that_do_not_fit_together(
    tmp_path: Path, table: str, rows: list[dict[str, object]], problem: str
) -> None:
    made = context(tmp_path)
    update = Update.open(made.store, "one")
    stage(update, range(6))
    update.write(table, rows)
    forced(made, update)
    (finding,) = verify(made.store).findings
    assert problem in finding.problem


def test_a_sample_must_have_a_vector_or_a_failure(tmp_path: Path) -> None:
    made = context(tmp_path)
    update = Update.open(made.store, "one")
    stage(update, range(6), failed=[5])
    update.write(VECTORS, [vector_row(n) for n in range(4)], "shard-0000")
    forced(made, update)
    (finding,) = verify(made.store).findings
    assert finding.problem == f"1 samples without a vector or a failure: {sha(4)}"


def test_a_vector_that_is_not_what_its_digest_says(tmp_path: Path) -> None:
    made = context(tmp_path)
    update = Update.open(made.store, "one")
    stage(update, range(4))
    rows = [vector_row(n) for n in range(4)]
    rows[2]["vector"] = rows[2]["vector"] + 1
    update.write(VECTORS, rows, "shard-0000")
    forced(made, update)
    (finding,) = verify(made.store).findings
    assert "1 vectors that are not what their digest says" in finding.problem
    assert sha(2) in finding.problem


def test_a_sealed_manifest_that_does_not_fit_its_rows(copy: Store) -> None:
    """Someone who can make a manifest's digest fit again is told by the rows."""
    manifest = Snapshot.open(copy).manifest
    manifest["content_digest"] = "0" * 64
    manifest["counts"]["labels"] = {"malicious": 30}
    manifest["manifest_digest"] = manifests.digest_of(manifest)
    copy.write_json(manifests.manifest_key("two"), manifest)
    copy.write_json(LATEST, {"id": "two", "manifest_digest": manifest["manifest_digest"]})
    problems = " ".join(finding.problem for finding in verify(copy).findings)
    assert "the content digest of its rows is" in problems
    assert "by label its rows count" in problems
