"""What goes and what stays: on a folder; tests/corpus/store/test_s3.py does the same on S3."""

from __future__ import annotations

import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from corpus.contract.requests import PublishRequest
from corpus.errors import ConflictError, NotFoundError, PassingFaultError
from corpus.maintenance import clean as cleaning
from corpus.maintenance.abandon import abandon
from corpus.maintenance.clean import clean
from corpus.services.context import Context
from corpus.services.publish.service import publish
from corpus.snapshots.verify import verify
from corpus.store import blobs
from corpus.store.claims import claim_of
from corpus.store.cleaning import CLEANING, being_cleaned
from corpus.store.object_store import Store
from corpus.store.snapshots import LATEST
from corpus.store.staging import Update, existing
from tests.support.building import build, build_two, content, context, release, sha, stage

DAY = timedelta(days=1)
WEEK = timedelta(days=7)


def later(time: timedelta) -> datetime:
    return datetime.now(UTC) + time


@pytest.fixture
def made(tmp_path: Path) -> Context:
    return context(tmp_path / "corpus")


def everything(store: Store, *, but: str = "nothing") -> dict[str, bytes]:
    """Content of all files that do not begin with `but`."""
    return {k: store.read_bytes(k) for k in store.details("") if not k.startswith(but)}


def test_staging_of_published_updates_goes_and_nothing_else(tmp_path: Path) -> None:
    made = build_two(tmp_path / "corpus")
    before = everything(made.store, but="staging/")
    staged = made.store.details("staging")
    report = clean(made.store, WEEK, now=later(WEEK))
    assert [(entry.key, entry.kind) for entry in report.removed] == [
        ("staging/one", "published"), ("staging/two", "published"),
    ]  # fmt: skip
    assert report.counts == {"published": 2}
    assert (report.files, report.bytes) == (len(staged), sum(f["size"] for f in staged.values()))
    assert everything(made.store) == before
    assert not os.listdir(made.store.full("staging"))
    assert verify(made.store).findings == []
    build(made, "three", range(30, 34))
    assert verify(made.store).findings == []


def test_what_is_younger_stays(tmp_path: Path) -> None:
    made = build_two(tmp_path / "corpus")
    before = everything(made.store)
    report = clean(made.store, WEEK, now=later(WEEK - DAY))
    assert (report.counts, report.removed, report.unfinished) == ({}, [], [])
    assert everything(made.store) == before


def test_a_dry_run_says_the_same_and_removes_nothing(tmp_path: Path) -> None:
    made = build_two(tmp_path / "corpus")
    blobs.put(made.store, sha(99), content(99))
    before = everything(made.store)
    said = clean(made.store, DAY, blobs=True, dry_run=True, now=later(WEEK))
    assert everything(made.store) == before
    done = clean(made.store, DAY, blobs=True, now=later(WEEK))
    assert said.counts == {"blob": 1, "published": 2}
    assert (said.dry_run, done.dry_run) == (True, False)
    assert said.removed == done.removed


def test_an_unfinished_update_stays_however_old_and_is_named(made: Context) -> None:
    stage(Update.open(made.store, "u"), range(4))
    before = everything(made.store)
    report = clean(made.store, DAY, now=later(52 * WEEK))
    assert (report.removed, report.unfinished) == ([], ["u"])
    assert everything(made.store) == before
    release(made, existing(made.store, "u"))
    assert verify(made.store).findings == []


def test_an_update_that_staged_nothing_goes_after_a_day_at_least(made: Context) -> None:
    Update.open(made.store, "failed")
    Update.open(made.store, "nothing-new").write_report("collect", {"candidates": 0})
    assert clean(made.store, timedelta(0), now=later(DAY / 2)).removed == []
    report = clean(made.store, timedelta(0), now=later(DAY))
    assert report.counts == {"empty": 2}
    assert made.store.list("staging") == []


def test_a_publication_without_its_last_step_is_not_over(made: Context) -> None:
    build(made, "one", range(4))
    made.store.delete(LATEST)
    assert clean(made.store, DAY, now=later(WEEK)).unfinished == ["one"]
    publish(PublishRequest(update="one"), made)
    assert clean(made.store, DAY, now=later(WEEK)).counts == {"published": 1}


def test_an_abandoned_update_goes_and_what_a_late_writer_leaves(made: Context) -> None:
    update = Update.open(made.store, "u")
    stage(update, range(4))
    abandon(made.store, "u")
    assert clean(made.store, DAY).removed == []
    assert clean(made.store, DAY, now=later(2 * DAY)).counts == {"abandoned": 1}
    update.write_report("ingest", {}, "shard-0000")
    assert clean(made.store, DAY, now=later(2 * DAY)).counts == {"remains": 1}
    assert made.store.list("staging") == []


def test_temporary_files_of_killed_writers(made: Context) -> None:
    build(made, "one", range(4))
    name = f".tmp-1-2-{'0' * 32}"
    places = ["staging/u/labels", "blobs/sha256/00", "data/samples", "snapshots/one"]
    for place in places:
        os.makedirs(made.store.full(place), exist_ok=True)
        Path(made.store.full(f"{place}/{name}")).write_bytes(b"half")
    Path(made.store.full("data/.tmp-notes")).write_bytes(b"somebody's")
    assert clean(made.store, timedelta(0), now=later(DAY / 2)).counts == {"published": 1}
    report = clean(made.store, timedelta(0), now=later(2 * DAY))
    assert report.counts == {"remains": 1, "temporary": 2}
    assert (report.files, report.bytes) == (3, 12)
    left = [key for key in made.store.details("") if ".tmp-" in key]
    assert left == ["data/.tmp-notes", f"snapshots/one/{name}"]


def test_blobs_that_nothing_refers_to(made: Context) -> None:
    build(made, "one", range(4))
    blobs.put(made.store, sha(99), content(99))
    Path(made.store.full("blobs/sha256/README")).write_bytes(b"not a blob")
    assert "blob" not in clean(made.store, DAY, now=later(WEEK)).counts
    assert clean(made.store, DAY, blobs=True).removed == []
    report = clean(made.store, DAY, blobs=True, now=later(WEEK))
    assert [entry.key for entry in report.removed] == [blobs.key(sha(99))]
    assert verify(made.store).findings == []
    assert not being_cleaned(made.store)
    assert made.store.exists("blobs/sha256/README")


def test_blobs_of_an_abandoned_update_go_after_its_staging(made: Context) -> None:
    build(made, "one", range(4))
    stage(Update.open(made.store, "u"), range(2, 6))
    abandon(made.store, "u")
    both = {blobs.key(sha(4)), blobs.key(sha(5))}
    soon = later(timedelta(days=2))
    kept = clean(made.store, WEEK, blobs=True, now=soon)
    assert (kept.counts, {key for key in both if made.store.exists(key)}) == ({}, both)
    gone = clean(made.store, DAY, blobs=True, now=soon)
    assert {entry.key for entry in gone.removed if entry.kind == "blob"} == both
    assert verify(made.store).findings == []


def test_a_blob_that_only_the_delta_table_refers_to_stays(made: Context) -> None:
    build(made, "one", range(4))
    shutil.rmtree(made.store.full("snapshots"))
    clean(made.store, DAY, now=later(WEEK))
    shutil.rmtree(made.store.full("staging"))
    assert clean(made.store, DAY, blobs=True, now=later(WEEK)).removed == []
    assert len(made.store.list("blobs")) == 4


def test_a_corpus_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere does not exist"):
        clean(Store(tmp_path / "nowhere"), DAY, blobs=True)
    assert not (tmp_path / "nowhere").exists()


def test_blobs_stay_while_an_update_is_unfinished(made: Context) -> None:
    build(made, "one", range(4))
    Update.open(made.store, "u")
    blobs.put(made.store, sha(99), content(99))
    before = everything(made.store)
    for dry_run in (True, False):
        with pytest.raises(ConflictError, match="while update u is unfinished"):
            clean(made.store, DAY, blobs=True, dry_run=dry_run, now=later(DAY / 2))
    assert everything(made.store) == before
    assert not being_cleaned(made.store)


def test_no_update_begins_or_goes_on_while_blobs_are_removed(
    made: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(made, "one", range(4))
    blobs.put(made.store, sha(99), content(99))
    met = []

    def interfere(*arguments: object) -> set[bytes]:
        for name in ("one", "new"):
            with pytest.raises(PassingFaultError, match="is at work"):
                Update.open(made.store, name)
            met.append(name)
        with pytest.raises(ConflictError, match="another"):
            clean(made.store, DAY, blobs=True)
        return referred(*arguments)

    referred = cleaning._referred
    monkeypatch.setattr(cleaning, "_referred", interfere)
    assert clean(made.store, DAY, blobs=True, now=later(WEEK)).counts["blob"] == 1
    assert met == ["one", "new"]
    Update.open(made.store, "new")


def test_a_killed_cleaner_holds_updates_up_for_minutes_only(made: Context) -> None:
    long_ago = (datetime.now(UTC) - timedelta(minutes=11)).isoformat()
    made.store.write_json(CLEANING, {"at": long_ago})
    Update.open(made.store, "u")
    assert clean(made.store, DAY, blobs=True, now=later(WEEK)).counts == {"empty": 1}
    assert not made.store.exists(CLEANING)


def test_a_cleaner_that_was_held_up_removes_no_more_blobs(
    made: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.put(made.store, sha(99), content(99))
    clock = iter(range(0, 10**6, 400))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with pytest.raises(PassingFaultError, match="held up"):
        clean(made.store, DAY, blobs=True, now=later(WEEK))
    assert made.store.exists(blobs.key(sha(99)))


def test_a_publication_that_lost_its_staging_to_clean_commits_nothing(
    made: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was held up just before its claim for longer than an abandoned update is kept."""
    from corpus.contract.requests import ValidateRequest
    from corpus.services.publish import service
    from corpus.services.validate.service import validate

    stage(Update.open(made.store, "u"), range(4))
    validate(ValidateRequest(update="u"), made)
    claim = service._claim

    def held_up(*arguments: object) -> object:
        abandon(made.store, "u")
        assert clean(made.store, timedelta(0), now=later(WEEK)).counts == {"abandoned": 1}
        return claim(*arguments)

    monkeypatch.setattr(service, "_claim", held_up)
    with pytest.raises(ConflictError, match="abandoned"):
        publish(PublishRequest(update="u"), made)
    assert claim_of(made.store, 1) is None
    assert made.store.list("tables") == []
