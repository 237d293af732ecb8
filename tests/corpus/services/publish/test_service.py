from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from corpus.contract.reports import PublishReport
from corpus.contract.requests import PublishRequest, ValidateRequest
from corpus.errors import BadInputError, BlockedError, ConflictError, NotFoundError, NothingNewError
from corpus.services.context import Context
from corpus.services.publish.plan import Plan
from corpus.services.publish.service import publish
from corpus.services.validate.service import validate
from corpus.snapshots.verify import verify
from corpus.store import delta
from corpus.store import manifest as manifests
from corpus.store.claims import log_key
from corpus.store.snapshots import LATEST, Snapshot
from corpus.store.staging import Update
from tests.support.building import (
    TINY,
    VECTORS,
    at_once,
    build,
    build_two,
    context,
    label_row,
    release,
    sample_row,
    sha,
    split_row,
    stage,
    vector_row,
)


@pytest.fixture
def made(tmp_path: Path) -> Context:
    return context(tmp_path / "corpus")


def staged(made: Context, name: str, numbers: range) -> Update:
    """An update that only needs to be published."""
    update = Update.open(made.store, name, made.run)
    stage(update, numbers)
    validate(ValidateRequest(update=name), made)
    return update


def publish_it(made: Context, name: str, **request: Any) -> PublishReport:
    return publish(PublishRequest(update=name, **request), made)


def entries(snapshot: Snapshot) -> list[dict[str, Any]]:
    return [entry for table in snapshot.manifest["tables"].values() for entry in table["files"]]


def test_a_snapshot_is_what_was_staged(made: Context) -> None:
    report = build(made, "one", range(10))
    snapshot = Snapshot.open(made.store)
    assert (snapshot.id, snapshot.sequence, report.parent) == ("one", 1, None)
    assert set(snapshot.scan("samples", ["sha256"])["sha256"].to_pylist()) == {*map(sha, range(10))}
    assert snapshot.feature_sets == {TINY.name: TINY.dim}
    assert report.counts["samples"] == 10
    assert snapshot.manifest["run"] == {"dag_id": "test", "run_id": "r"}
    assert snapshot.manifest["manifest_digest"] == manifests.digest_of(snapshot.manifest)
    assert Path(report.card or "").is_file()


def test_the_digest_carried_on_is_that_of_all_rows(tmp_path: Path) -> None:
    made = build_two(tmp_path)
    for name in ("one", "two"):
        report = verify(made.store, name)
        assert report.findings == []
        assert report.content_digest == Snapshot.open(made.store, name).manifest["content_digest"]


def test_two_ways_to_the_same_content(tmp_path: Path) -> None:
    """All at once or in two updates, in one shard or in four: the same content digest."""
    digests = set()
    for number, steps in enumerate([[range(12)], [range(5), range(5, 12)]]):
        for shards in (1, 4):
            made = context(tmp_path / f"{number}-{shards}")
            for step, numbers in enumerate(steps):
                report = build(made, f"u{step}", numbers, shards=shards)
            digests.add(report.content_digest)
    assert len(digests) == 1


def test_files_do_not_depend_on_shards(tmp_path: Path) -> None:
    found = []
    for shards in (1, 3):
        made = context(tmp_path / str(shards))
        build(made, "one", range(9), shards=shards)
        tables = Snapshot.open(made.store).manifest["tables"]
        found.append({t: [f["sha256"] for f in tables[t]["files"]] for t in tables if t != VECTORS})
    assert found[0] == found[1]


def test_a_sample_in_two_shards_is_one_sample(made: Context) -> None:
    update = Update.open(made.store, "one")
    stage(update, range(6))
    update.write("samples", [sample_row(made.store, n) for n in (4, 5)], "shard-0001")
    update.write(VECTORS, [vector_row(n) for n in (4, 5)], "shard-0001")
    update.write(VECTORS, [vector_row(n) for n in (0, 1, 2, 3, 4)], "shard-0000")
    release(made, update)
    snapshot = Snapshot.open(made.store)
    for table in ("samples", VECTORS):
        assert sum(entry["rows"] for entry in snapshot.files(table)) == 6
    assert verify(made.store).findings == []


def test_nothing_staged_is_nothing_new(made: Context) -> None:
    Update.open(made.store, "empty")
    with pytest.raises(NothingNewError, match="nothing to publish"):
        publish_it(made, "empty")
    build(made, "one", range(4))
    update = Update.open(made.store, "again")
    update.write("seen_files", [{"location": "in/0.exe", "fingerprint": "2", "source": "folder"}])
    with pytest.raises(NothingNewError, match="nothing new since snapshot one of 20"):
        publish_it(made, "again")
    assert [snapshot.id for snapshot in Snapshot.every(made.store)] == ["one"]
    assert made.store.list("snapshots/log") == [log_key(1)]


def test_an_update_must_be_named_and_begun(made: Context) -> None:
    with pytest.raises(BadInputError, match="an update is needed"):
        publish(PublishRequest(), made)
    with pytest.raises(NotFoundError):
        publish_it(made, "never")


def test_without_validation_nothing_is_published(made: Context) -> None:
    stage(Update.open(made.store, "one"), range(4))
    with pytest.raises(BlockedError, match="was not validated"):
        publish_it(made, "one")
    assert not made.store.list("snapshots")
    assert not made.store.list("tables")


def test_what_changed_after_validation_is_not_published(made: Context) -> None:
    update = staged(made, "one", range(4))
    update.write("labels", [label_row(n, "benign") for n in range(4)])
    with pytest.raises(BlockedError, match="changed after it was validated"):
        publish_it(made, "one")
    validate(ValidateRequest(update="one"), made)
    assert publish_it(made, "one").counts["labels"] == {"benign": 4}


def test_what_is_blocked_is_not_published(made: Context) -> None:
    update = Update.open(made.store, "one")
    stage(update, range(4))
    update.write("splits", [split_row(n, group=0) for n in range(4)])
    update.write("groups", [{"sha256": sha(n), "group_id": sha(0)} for n in range(4)])
    with pytest.raises(BlockedError):
        validate(ValidateRequest(update="one"), made)
    with pytest.raises(BlockedError, match="leakage"):
        publish_it(made, "one")
    assert not made.store.list("snapshots")


def test_a_dry_run_says_what_would_be(made: Context) -> None:
    staged(made, "one", range(4))
    dry = publish_it(made, "one", dry_run=True)
    assert dry.dry_run
    assert dry.manifest_digest is None
    assert not made.store.list("snapshots")
    assert not made.store.list("tables")
    assert not made.store.list("data")
    real = publish_it(made, "one")
    assert (real.content_digest, real.counts) == (dry.content_digest, dry.counts)


def test_published_again_it_is_the_same(made: Context) -> None:
    staged(made, "one", range(4))
    first = publish_it(made, "one", note="why")
    before = {key: made.store.measure(key) for key in made.store.list("snapshots")}
    assert publish_it(made, "one", note="another") == first
    assert {key: made.store.measure(key) for key in made.store.list("snapshots")} == before
    assert Snapshot.open(made.store).manifest["note"] == "why"


def test_an_id_used_again_for_other_samples_is_a_conflict(made: Context) -> None:
    staged(made, "one", range(4))
    first = publish_it(made, "one")
    staged(made, "one", range(6))
    with pytest.raises(ConflictError, match="one is published already"):
        publish_it(made, "one")
    assert Snapshot.open(made.store).manifest["content_digest"] == first.content_digest


def test_an_old_update_published_again_leaves_latest(made: Context) -> None:
    build(made, "one", range(4))
    build(made, "two", range(4, 8))
    assert publish_it(made, "one").sequence == 1
    assert Snapshot.open(made.store).id == "two"


def test_of_two_updates_on_one_base_one_wins(made: Context) -> None:
    build(made, "one", range(4))
    staged(made, "a", range(4, 8))
    staged(made, "b", range(8, 12))
    publish_it(made, "a")
    with pytest.raises(ConflictError, match="a is the latest snapshot now") as raised:
        publish_it(made, "b")
    assert "Start a new update" in str(raised.value)
    build(made, "c", range(8, 12))
    assert verify(made.store).findings == []


def test_two_updates_at_the_same_moment(tmp_path: Path) -> None:
    made = context(tmp_path)
    build(made, "one", range(4))
    names = ["a", "b"]
    for number, name in enumerate(names):
        staged(made, name, range(4 + 4 * number, 8 + 4 * number))
    found = at_once(tmp_path, names)
    assert found.count("conflict") == 1
    latest = Snapshot.open(made.store)
    assert latest.id == names[1 - found.index("conflict")]
    assert verify(made.store).findings == []


def test_one_update_published_twice_at_the_same_moment(tmp_path: Path) -> None:
    made = context(tmp_path)
    staged(made, "one", range(6))
    found = at_once(tmp_path, ["one"] * 3)
    assert set(found) == {Snapshot.open(made.store).manifest["content_digest"]}
    assert verify(made.store).findings == []
    assert delta.open_table(made.store, "samples").to_pyarrow_table().num_rows == 6


class StopHereError(Exception):
    pass


def interrupted(made: Context, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish an update until it has claimed its number, and no further."""
    with monkeypatch.context() as patched:

        def fail(*args: Any) -> None:
            raise StopHereError

        patched.setattr("corpus.services.publish.service._tables", fail)
        with pytest.raises(StopHereError):
            publish_it(made, name)


def test_an_unfinished_publication_is_named(made: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    staged(made, "a", range(4))
    staged(made, "b", range(4, 8))
    interrupted(made, "a", monkeypatch)
    assert Snapshot.latest(made.store).id is None
    with pytest.raises(ConflictError, match="corpus publish --update a"):
        publish_it(made, "b")
    publish_it(made, "a")
    assert Snapshot.open(made.store).id == "a"


def test_what_is_published_is_fixed_by_the_claim(
    made: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = staged(made, "one", range(4))
    digest = publish_it(made, "one", dry_run=True).content_digest
    interrupted(made, "one", monkeypatch)
    update.write("labels", [label_row(n, "unknown") for n in range(4)])
    update.write(VECTORS, [vector_row(n, shift=9.0) for n in range(4)], "shard-0000")
    assert publish_it(made, "one").content_digest == digest
    assert verify(made.store).findings == []


def test_killed_between_manifest_and_latest(made: Context) -> None:
    build(made, "one", range(4))
    first = made.store.read_bytes(LATEST)
    build(made, "two", range(4, 8))
    made.store.write_bytes(LATEST, first)
    staged(made, "late", range(8, 12))
    with pytest.raises(ConflictError, match="update two"):
        publish_it(made, "late")
    assert publish_it(made, "two").sequence == 2
    assert Snapshot.open(made.store).id == "two"


def test_no_plan_is_left_behind(made: Context) -> None:
    build(made, "one", range(4))
    assert not [key for key in made.store.list("staging") if "/publish/" in key]


def test_a_second_feature_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from corpus import features

    made = context(tmp_path)
    other = features.FeatureSet("other-v1", "corpus.features.basic_v1", {"all": 6})
    monkeypatch.setitem(features._SETS, other.name, other)
    build(made, "one", range(4))
    update = Update.open(made.store, "two")
    update.write("features-other-v1", [vector_row(n, shift=2.0) for n in range(4)])
    release(made, update)
    assert Snapshot.open(made.store).feature_sets == {TINY.name: 6, "other-v1": 6}
    assert verify(made.store).findings == []


def test_the_environment_tells_of_the_code(made: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORPUS_CODE_VERSION", "abc123")
    build(made, "one", range(4))
    manifest = Snapshot.open(made.store).manifest
    assert manifest["code"]["revision"] == "abc123"


def test_parent_files_are_listed_not_copied(tmp_path: Path) -> None:
    made = build_two(tmp_path)
    one, two = Snapshot.open(made.store, "one"), Snapshot.open(made.store, "two")
    mine = [entry["key"] for entry in entries(two)]
    assert {entry["key"] for entry in entries(one)} < {*mine}
    assert len(mine) == len(set(mine))
    assert two.manifest["parent_digest"] == one.manifest["manifest_digest"]


def test_a_changed_plan_is_not_followed(made: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    staged(made, "one", range(4))
    interrupted(made, "one", monkeypatch)
    (key,) = [k for k in made.store.list("staging/one/publish") if k.endswith(".json")]
    digest = key.rsplit("/", 1)[-1].removesuffix(".json")
    plan = Plan.read(made.store, "one", digest)
    assert sum(file.rows for file in plan.files["samples"]) == 4
    made.store.write_bytes(key, made.store.read_bytes(key) + b" ")
    with pytest.raises(Exception, match="not what it was"):
        publish_it(made, "one")


@pytest.mark.timeout(600)
def test_killed_at_any_write(tmp_path: Path) -> None:
    """kill -9 before every write of a publication, and after every file handed to Delta; retry."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_publish", tmp_path],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    undisturbed, killed = outcomes[0], outcomes[1:]
    assert len(killed) > 25
    assert undisturbed["findings"] == []
    for outcome in killed:
        assert outcome["outcome"] == undisturbed["outcome"], outcome["point"]
        assert outcome["findings"] == [], outcome["point"]
