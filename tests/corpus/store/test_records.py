"""Broken records of the store end in an error that names the file and the field, never in a KeyError."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corpus.cli.session import Session
from corpus.contract.requests import PublishRequest, ValidateRequest
from corpus.errors import BadSettingError, CorpusError, DamagedError
from corpus.maintenance.abandon import abandon
from corpus.services.context import Context
from corpus.services.publish.plan import Plan
from corpus.services.publish.service import publish
from corpus.services.validate.service import validate
from corpus.store.claims import claim_of, log_key
from corpus.store.cleaning import CLEANING, being_cleaned
from corpus.store.ending import end_of
from corpus.store.manifest import manifest_key
from corpus.store.object_store import Store
from corpus.store.snapshots import LATEST, Snapshot
from corpus.store.staging import Update, existing
from corpus.store.update_record import record_key
from tests.support.building import build, context, stage

SECRET = "do-not-quote-me"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot `one`, an update `u` that builds on it and was abandoned, and a sign of cleaning."""
    made = context(tmp_path_factory.mktemp("records") / "corpus")
    build(made, "one", range(6))
    stage(Update.open(made.store, "u"), range(6, 8))
    abandon(made.store, "u")
    made.store.write_json(CLEANING, {"at": "2024-01-01T00:00:00+00:00"})
    return Path(made.store.path)


READERS: dict[str, tuple[str, Callable[[Store], Any]]] = {
    "record": (record_key("u"), lambda store: Update.begun(store, "u")),
    "ending": ("staging/u/end.json", lambda store: end_of(store, "u")),
    "claim": (log_key(1), lambda store: claim_of(store, 1)),
    "manifest": (manifest_key("one"), lambda store: Snapshot.open(store, "one")),
    "every": (manifest_key("one"), lambda store: Snapshot.every(store)),
    "latest": (LATEST, lambda store: Snapshot.latest(store)),
    "stats": ("snapshots/one/stats.json", lambda store: Snapshot.open(store, "one").stats),
    "cleaning": (CLEANING, being_cleaned),
}


def broken(store: Store, key: str, data: bytes, read: Callable[[Store], Any]) -> DamagedError:
    """What reading a record raises while its file has these bytes."""
    right = store.read_bytes(key)
    store.write_bytes(key, data)
    try:
        with pytest.raises(DamagedError) as caught:
            read(store)
    finally:
        store.write_bytes(key, right)
    read(store)
    assert caught.value.fields["key"] == key
    assert key in str(caught.value)
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", READERS)
def test_a_field_that_is_missing_or_of_another_type_is_named(corpus: Path, name: str) -> None:
    store, (key, read) = Store(corpus), READERS[name]
    record = store.read_json(key)
    for field in record:
        rest = {other: value for other, value in record.items() if other != field}
        error = broken(store, key, json.dumps(rest).encode(), read)
        assert error.fields["field"] == field
        assert f"field '{field}': is missing" in error.message
        wrong = {**record, field: [[SECRET]]}
        named = broken(store, key, json.dumps(wrong).encode(), read).fields["field"]
        assert named.split(".")[0] == field


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'"do-not-quote-me"'])
def test_what_is_no_record_at_all(corpus: Path, name: str, data: bytes) -> None:
    key, read = READERS[name]
    broken(Store(corpus), key, data, read)


def test_a_part_of_a_record_is_named_by_its_path(corpus: Path) -> None:
    store, (key, read) = Store(corpus), READERS["manifest"]
    manifest = store.read_json(key)
    manifest["tables"]["samples"]["files"][0]["size"] = SECRET
    error = broken(store, key, json.dumps(manifest).encode(), read)
    assert error.fields["field"] == "tables.samples.files.0.size"


def test_a_key_that_is_new_is_kept(corpus: Path) -> None:
    store, (key, read) = Store(corpus), READERS["manifest"]
    manifest = store.read_json(key)
    right = store.read_bytes(key)
    store.write_json(key, {**manifest, "later": 1})
    assert read(store).manifest["later"] == 1  # type: ignore[typeddict-item]
    store.write_bytes(key, right)


def test_a_time_of_cleaning_that_is_no_time(corpus: Path) -> None:
    for at in ("soon", "2024-01-01"):
        data = json.dumps({"at": at}).encode()
        assert broken(Store(corpus), CLEANING, data, being_cleaned).fields["field"] == "at"


def test_a_service_names_the_record_that_is_broken(tmp_path: Path) -> None:
    made = context(tmp_path / "corpus")
    Update.open(made.store, "u")
    made.store.write_json(record_key("u"), {"id": "u", "base": None})
    for begin in (existing, Update.open):
        with pytest.raises(DamagedError, match=r"staging/u/update\.json .* field 'parent'"):
            begin(made.store, "u")


def test_a_plan_that_is_no_plan(tmp_path: Path) -> None:
    store = Store(tmp_path)
    data = b'{"update": "u"}\n'
    written = store.write_bytes("plan", data)
    key = f"staging/u/publish/{written.sha256}.json"
    store.write_bytes(key, data)
    with pytest.raises(DamagedError) as caught:
        Plan.read(store, "u", written.sha256)
    assert caught.value.fields == {"key": key, "field": "head"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("[]", "CORPUS_RUN"),
        ('{"map_index": "x"}', "CORPUS_RUN.map_index"),
        ('{"image": {"name": "n"}}', "CORPUS_RUN.image.digest"),
    ],
)
def test_an_identity_that_is_none_begins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, field: str
) -> None:
    monkeypatch.setenv("CORPUS_RUN", given)
    session = Session({"store": {"root": str(tmp_path)}}, config=tmp_path / "none.toml")
    with pytest.raises(CorpusError) as caught:
        assert isinstance(session.context, Context)
    assert isinstance(caught.value, BadSettingError)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("service", "field"),
    [("validate", "staged_digest"), ("label", "policy"), ("split", "cuts"), ("image", "service")],
)
def test_a_report_that_lacks_what_publish_reads(tmp_path: Path, service: str, field: str) -> None:
    made = context(tmp_path / "corpus")
    stage(Update.open(made.store, "u"), range(3))
    validate(ValidateRequest(update="u"), made)
    key = f"staging/u/reports/{service}-all.json"
    made.store.write_json(key, {"update": SECRET})
    with pytest.raises(DamagedError) as caught:
        publish(PublishRequest(update="u"), made)
    assert caught.value.fields == {"key": key, "field": field}
    assert SECRET not in str(caught.value)
    assert Snapshot.latest(made.store).id is None
