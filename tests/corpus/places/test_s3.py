"""Places in buckets: the store's keys read the store's bucket, and others only if they are listed."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest

from corpus.contract.requests import CollectRequest, ImportVerdictsRequest, IngestRequest
from corpus.errors import BadInputError
from corpus.services.collect.service import collect
from corpus.services.context import Context
from corpus.services.import_verdicts.service import import_verdicts
from corpus.services.ingest.service import ingest
from corpus.settings import Settings
from corpus.store.schemas import CANDIDATES
from corpus.store.staging import Update
from tests.corpus.store.test_s3 import BUCKET, options
from tests.support.spellings import REFUSED, SECRET, garden, spelled

__all__ = ["options"]

OTHER = "other-bucket"
A = "a" * 64


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return garden(tmp_path_factory.mktemp("s3"))


@pytest.fixture(scope="module")
def client(options: dict[str, Any]) -> Any:
    keys = {"aws_access_key_id": "fake", "aws_secret_access_key": "fake"}
    made = boto3.client("s3", endpoint_url=options["endpoint_url"], region_name="us-east-1", **keys)
    made.create_bucket(Bucket=OTHER)
    made.put_object(Bucket=OTHER, Key="a", Body=SECRET.encode())
    made.put_object(Bucket=BUCKET, Key="in/a.txt", Body=b"text")
    made.put_object(Bucket=BUCKET, Key="in/../b.txt", Body=b"text")
    return made


@pytest.fixture
def context(client: Any, options: dict[str, Any]) -> Context:
    store = {"root": f"s3://{BUCKET}/{uuid.uuid4().hex}", "options": options}
    settings = Settings.load({"store": store, "sources": {"urls": [f"s3://{BUCKET}/in"]}})
    return Context.from_settings(settings)


def located(context: Context) -> list[str]:
    rows = Update.open(context.store, "u").read("candidates").to_pylist()
    return sorted(row["location"] for row in rows)


@pytest.mark.parametrize("text", REFUSED)
def test_a_spelling_that_is_refused(context: Context, names: dict[str, str], text: str) -> None:
    written = spelled(text, names)
    for act, request in (
        (collect, CollectRequest(update="u", sources=[written])),
        (import_verdicts, ImportVerdictsRequest(update="u", urls=[written])),
    ):
        with pytest.raises(BadInputError) as caught:
            act(request, context)  # type: ignore[operator]
        assert SECRET not in str(caught.value)


def test_the_sources_of_the_settings_are_read(context: Context) -> None:
    report = collect(CollectRequest(update="u"), context)
    assert located(context) == [f"s3://{BUCKET}/in/a.txt"]
    # A name that some reader would take for a way out.
    assert report.unreadable == 1


def test_a_manifest_in_a_bucket_names_its_own_bucket_alone(context: Context, client: Any) -> None:
    for location, taken in (
        ("a.txt", True),
        (f"s3://{BUCKET}/in/a.txt", True),
        (f"s3://{OTHER}/a", False),
        ("../../other-bucket/a", False),
        ("file:///etc/passwd", False),
    ):
        row = json.dumps({"sha256": A, "location": location})
        client.put_object(Bucket=BUCKET, Key="in/list.jsonl", Body=row.encode())
        request = CollectRequest(update="u", sources=[f"s3://{BUCKET}/in/list.jsonl"])
        try:
            if taken:
                assert collect(request, context).candidates == 1
            else:
                with pytest.raises(BadInputError) as caught:
                    collect(request, context)
                assert (caught.value.row, caught.value.field) == (1, "location")
        finally:
            client.delete_object(Bucket=BUCKET, Key="in/list.jsonl")


def test_a_candidate_in_another_bucket_is_refused(context: Context) -> None:
    row = {field.name: None for field in CANDIDATES.schema}
    row |= {"location": f"s3://{OTHER}/a", "fingerprint": "1", "size": 1, "source": "s", "tags": []}
    Update.open(context.store, "u").write("candidates", [row], "shard-0000")
    with pytest.raises(BadInputError, match="bucket"):
        ingest(IngestRequest(update="u"), context)


def test_a_bucket_that_is_listed_is_read(context: Context, tmp_path: Path) -> None:
    places = context.settings.places.model_copy(update={"buckets": [OTHER]})
    made = Context.from_settings(context.settings.model_copy(update={"places": places}))
    request = CollectRequest(update="u", sources=[f"s3://{OTHER}/a"])
    assert collect(request, made).candidates == 1
