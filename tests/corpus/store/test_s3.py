"""The corpus on S3: a real API over HTTP, served by moto on loopback."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import numpy as np
import pytest

from corpus.contract.requests import PublishRequest, ValidateRequest
from corpus.errors import BadInputError, BadSettingError, ConflictError, NotFoundError
from corpus.maintenance.abandon import abandon
from corpus.maintenance.clean import clean
from corpus.services.publish.service import publish
from corpus.services.validate.service import validate
from corpus.snapshots.dataset import Dataset
from corpus.snapshots.diff import diff
from corpus.snapshots.verify import verify
from corpus.store import blobs, delta
from corpus.store.object_store import Store
from corpus.store.snapshots import Snapshot
from corpus.store.staging import Update
from tests.support.building import VECTORS, build, build_two, content, context, sha, stage

BUCKET = "corpus"
# S3 checks If-None-Match and writes in one step. This server does so in two, between which another thread may
# write; on a busy machine one does.
SERVER = """
import threading
import time
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer

one_at_a_time, put = threading.Lock(), S3Response.put_object

def put_object(self):
    with one_at_a_time:
        return put(self)

S3Response.put_object = put_object
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
while True:
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def options() -> Iterator[dict[str, Any]]:
    # A process of its own: deltalake keeps Python's lock in some calls, and a server in a thread of
    # this process could then never answer it.
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdout is not None
        endpoint = f"http://127.0.0.1:{int(server.stdout.readline())}"
        keys = {"aws_access_key_id": "fake", "aws_secret_access_key": "fake"}
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
        client.create_bucket(Bucket=BUCKET)
        yield {"key": "fake", "secret": "fake", "endpoint_url": endpoint}
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def url() -> str:
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


@pytest.fixture
def store(url: str, options: dict[str, Any]) -> Store:
    return Store(url, options)


def test_bytes_are_read_back(store: Store) -> None:
    written = store.write_bytes("a/b", b"one")
    assert store.read_bytes("a/b") == b"one"
    assert store.measure("a/b") == written
    store.copy("a/b", "a/c")
    assert store.list("a") == ["a/b", "a/c"]
    store.delete("a")
    assert not store.exists("a/b")
    with pytest.raises(NotFoundError):
        store.read_bytes("a/b")


def test_create_once(url: str, options: dict[str, Any]) -> None:
    first = Store(url, options)
    second = Store(url, {**options, "skip_instance_cache": True})
    assert first.create_bytes("log/1", b"first")
    assert not second.create_bytes("log/1", b"second")
    assert not first.create_bytes("log/1", b"third")
    assert second.read_bytes("log/1") == b"first"


def test_updates_that_begin_a_corpus_at_once_write_one_format(
    url: str, options: dict[str, Any]
) -> None:
    stores = [Store(url, {**options, "skip_instance_cache": True}) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        begun = list(pool.map(lambda n: Update.open(stores[n], f"u{n}").id, range(4)))
    assert begun == ["u0", "u1", "u2", "u3"]
    assert Store(url, options).read_json("format.json") == {"format": 2}


def test_a_corpus_of_before_the_first_release_is_refused(store: Store) -> None:
    store.write_json("snapshots/latest.json", {"id": "one"})
    with pytest.raises(BadInputError, match="earlier, unreleased version"):
        Update.open(store, "u")
    assert store.list("") == ["snapshots/latest.json"]


def test_create_asks_for_a_condition(
    url: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The PUT itself bears If-None-Match: looking first and writing then would lose races."""
    store = Store(url, {**options, "skip_instance_cache": True})
    sent: list[dict[str, Any]] = []
    call = type(store.fs)._call_s3

    async def recorded(self: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        sent.append({"method": method, **kwargs})
        return await call(self, method, *args, **kwargs)

    monkeypatch.setattr(type(store.fs), "_call_s3", recorded)
    store.create_bytes("log/1", b"x")
    store.write_bytes("log/1", b"x")
    puts = [entry.get("IfNoneMatch") for entry in sent if entry["method"] == "put_object"]
    assert puts == ["*", None]


@pytest.mark.parametrize(
    ("code", "status"), [("PreconditionFailed", 412), ("ConditionalRequestConflict", 409)]
)
def test_a_refused_create_is_no_error(
    store: Store, monkeypatch: pytest.MonkeyPatch, code: str, status: int
) -> None:
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    answer = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }

    def refused(*args: Any, **kwargs: Any) -> None:
        raise translate_boto_error(ClientError(answer, "PutObject"))

    monkeypatch.setattr(store.fs, "pipe_file", refused)
    assert store.create_bytes("log/1", b"x") is False


def test_no_such_bucket_is_a_wrong_setting(options: dict[str, Any]) -> None:
    store = Store("s3://there-is-none/corpus", options)
    for write in (store.write_bytes, store.create_bytes):
        with pytest.raises(BadSettingError, match="there-is-none/corpus/a cannot be written"):
            write("a", b"new")


def test_another_refusal_is_an_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    def refused(*args: Any, **kwargs: Any) -> None:
        answer = {"Error": {"Code": "AccessDenied", "Message": "no"}}
        raise translate_boto_error(ClientError(answer, "PutObject"))

    monkeypatch.setattr(store.fs, "pipe_file", refused)
    with pytest.raises(BadSettingError, match="log/1 cannot be written"):
        store.create_bytes("log/1", b"x")


def test_of_many_creators_one_wins(url: str, options: dict[str, Any]) -> None:
    stores = [Store(url, {**options, "skip_instance_cache": True}) for _ in range(4)]
    for race in range(5):
        with ThreadPoolExecutor(4) as pool:
            won = list(
                pool.map(lambda n: stores[n].create_bytes(f"log/{race}", b"%d" % n), range(4))  # noqa: B023
            )
        assert won.count(True) == 1
        assert stores[0].read_bytes(f"log/{race}") == b"%d" % won.index(True)


def test_a_corpus_of_two_snapshots(url: str, options: dict[str, Any], tmp_path: Any) -> None:
    made = build_two(url, options)
    for name in ("one", "two"):
        assert verify(made.store, name).findings == []
    local = build_two(tmp_path / "local")
    assert (
        Snapshot.open(made.store).manifest["content_digest"]
        == Snapshot.open(local.store).manifest["content_digest"]
    )
    here, there = (Dataset(Snapshot.open(c.store)) for c in (local, made))
    assert there.to_arrow().equals(here.to_arrow())
    assert np.array_equal(there.to_numpy("train")[0], here.to_numpy("train")[0])
    assert diff(made.store, "one", "two") == diff(local.store, "one", "two")
    assert delta.open_table(made.store, "samples").to_pyarrow_table().num_rows == 30


def test_what_is_not_needed_goes(url: str, options: dict[str, Any]) -> None:
    made = build_two(url, options)
    blobs.put(made.store, sha(99), content(99))
    kept = {key for key in made.store.list("") if not key.startswith("staging/")}
    update = Update.open(made.store, "u")
    stage(update, range(30, 34))
    soon = datetime.now(UTC) + timedelta(days=8)
    with pytest.raises(ConflictError, match="update u is unfinished"):
        clean(made.store, timedelta(days=7), blobs=True, now=soon)
    assert abandon(made.store, "u").freed is None
    with pytest.raises(ConflictError, match="was abandoned"):
        Update.open(made.store, "u")
    report = clean(made.store, timedelta(days=7), blobs=True, now=soon)
    assert report.counts == {"abandoned": 1, "blob": 5, "published": 2}
    assert set(made.store.list("")) == kept - {blobs.key(sha(99))}
    for name in ("one", "two"):
        assert verify(made.store, name).findings == []


def test_a_bucket_is_there_or_not(options: dict[str, Any]) -> None:
    for url in (f"s3://{BUCKET}", f"s3://{BUCKET}/nothing/yet"):
        Store(url, options).require_root()
    for url in ("s3://there-is-none", "s3://there-is-none/corpus"):
        with pytest.raises(NotFoundError, match=f"{url} does not exist"):
            Store(url, options).require_root()


def test_damage_is_found(url: str, options: dict[str, Any]) -> None:
    made = context(url, options)
    build(made, "one", range(4))
    key = Snapshot.open(made.store).files(VECTORS)[0]["key"]
    data = bytearray(made.store.read_bytes(key))
    data[len(data) // 2] ^= 1
    made.store.write_bytes(key, bytes(data))
    assert [finding.key for finding in verify(made.store).findings] == [key]


def test_two_updates_at_the_same_moment(url: str, options: dict[str, Any]) -> None:
    made = context(url, options)
    build(made, "one", range(4))
    for number, name in enumerate("ab"):
        stage(Update.open(made.store, name), range(4 + 4 * number, 8 + 4 * number))
        validate(ValidateRequest(update=name), made)

    def attempt(name: str) -> str:
        own = context(url, {**options, "skip_instance_cache": True})
        try:
            return publish(PublishRequest(update=name), own).snapshot
        except ConflictError:
            return "conflict"

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(attempt, "ab"))
    assert found.count("conflict") == 1
    latest = Snapshot.open(made.store)
    assert latest.id in found
    assert verify(made.store).findings == []
    samples = delta.open_table(made.store, "samples").to_pyarrow_table(columns=["sha256"])
    first = 4 if latest.id == "a" else 8
    assert sorted(samples["sha256"].to_pylist()) == sorted(
        sha(n) for n in (*range(4), *range(first, first + 4))
    )


def test_delta_commits_at_the_same_time_all_survive(url: str, options: dict[str, Any]) -> None:
    from tests.corpus.store.test_delta import append, names, part

    store = Store(url, options)
    files = {f"u{n}": part(store, f"p{n}-", rows=1) for n in range(4)}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda u: append(store, u, files[u]), files))
    assert names(store) == [f"p{n}-0" for n in range(4)]
