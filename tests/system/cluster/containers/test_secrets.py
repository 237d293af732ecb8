"""A planted secret: used by the steps that need it, and nowhere to be read by anybody else.

The corpus lies on S3 (moto, on a network of the test's own), whose key is the secret; a command of
its own reads another from a mounted folder. What is looked at: the task logs, all of Airflow's
database (serialized DAG, rendered fields, XCom), what the engine says of the containers and of what
happened to them, and what lies in the scratch folder, for as long as there is something to see.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import boto3
import pytest
from airflow.sdk import DAG
from docker import APIClient
from docker.errors import APIError

from bench.common.executables import write_variants
from operators import CollectSamplesOperator, ContainerOperator, IngestSamplesOperator
from tests.support import airflow_home
from tests.system.cluster.containers.world import URL, World

pytestmark = pytest.mark.airflow
# Not a literal: Airflow keeps the text of the files that make DAGs.
SECRET = f"{secrets.token_hex(8)}/+=&? {secrets.token_hex(8)}"
# Shows that the places are looked at: it is to be found in all of them.
PUBLIC = "c0nspicuous"
SERVER = """
import sys, time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address=sys.argv[1], port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
time.sleep(3600)
"""


def forms(secret: str) -> set[str]:
    """A secret as it is, url-quoted, as JSON, and inside of anything in base64."""
    quoted = {
        urllib.parse.quote(secret),
        urllib.parse.quote(secret, safe=""),
        json.dumps(secret)[1:-1],
    }
    encoded = set()
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * shift + secret.encode()).decode().rstrip("=")
            # The first and the last digit depend on what stands before and behind.
            encoded.add(text[shift + 1 : -1])
    return {secret, *quoted, *encoded}


def test_the_forms_are_found() -> None:
    for text in (SECRET, f"https://u:{urllib.parse.quote(SECRET, safe='')}@h/"):
        assert any(form in text for form in forms(SECRET))
        for shift in range(3):
            encoded = base64.b64encode(b"x" * shift + text.encode() + b"yy").decode()
            assert any(form in encoded for form in forms(text))


class Watcher:
    """Reads, again and again while a DAG runs, all that can be read from outside of the containers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen: dict[str, set[str]] = {"inspect": set(), "logs": set(), "scratch": set()}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._began = time.time()

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        events = self.world.client.events(since=int(self._began), until=int(time.time()) + 1)
        self.seen["events"] = {events if isinstance(events, str) else "".join(map(str, events))}

    def _watch(self) -> None:
        client = APIClient(base_url=URL, version="auto")
        while not self._end.wait(0.05):
            for container in self.world.live():
                try:
                    found = client.inspect_container(container["Id"])
                    self.seen["inspect"].add(json.dumps(found))
                    self.seen["logs"].add(client.logs(container["Id"]).decode())
                except APIError:
                    continue
            for folder, _, names in os.walk(self.world.scratch):
                # Samples are not text; the settings, results and owners are.
                for name in names if "workspace" not in Path(folder).parts else ():
                    with contextlib.suppress(OSError):
                        self.seen["scratch"].add(Path(folder, name).read_text())
        client.close()


def database() -> str:
    """All that Airflow's database holds, as text."""
    with closing(sqlite3.connect(airflow_home.HOME / "airflow.db")) as connection:
        tables = [name for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        )]  # fmt: skip
        values = (
            value
            for table in tables
            for row in connection.execute(f'SELECT * FROM "{table}"')
            for value in row
        )
        return "\n".join(
            v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in values
        )


@pytest.fixture
def s3(network: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of an S3 API that the network's containers reach; it has a bucket `corpus`."""
    name, host = network
    monkeypatch.setenv("CORPUS_DOCKER__NETWORK", name)
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, host],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        endpoint = f"http://{host}:{int(server.stdout.readline())}"
        keys = {"aws_access_key_id": "fake", "aws_secret_access_key": "fake"}
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
        client.create_bucket(Bucket="corpus")
        yield endpoint
    finally:
        server.kill()
        server.wait()


@pytest.mark.timeout(600)
def test_a_planted_secret_is_nowhere(
    world: World, s3: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = world.work / "secrets"
    folder.mkdir()
    options = {"key": "fake", "secret": SECRET, "endpoint_url": s3}
    lines = [f"{name} = {json.dumps(value)}" for name, value in options.items()]
    (folder / "s3.toml").write_text("\n".join(["[store.options]", *lines, ""]))
    (folder / "password").write_text(SECRET)
    monkeypatch.setenv("CORPUS_DOCKER__SECRETS", str(folder))
    monkeypatch.setenv("CORPUS_STORE__ROOT", f"s3://corpus/{PUBLIC}")
    write_variants(world.samples, 3, seed=1)

    with DAG(world.task.dag_id) as dag:
        collect = CollectSamplesOperator(task_id="collect", update_id=PUBLIC)
        ingest = IngestSamplesOperator(task_id="ingest", update_id=PUBLIC)
        own = ContainerOperator(
            task_id="own",
            image=world.image,
            entrypoint=["sh", "-c"],
            # It uses the secret, and leaves the length of it.
            command=[
                f'echo {PUBLIC}; printf "%s" "$(wc -c < /run/secrets/password)" > $CORPUS_RESULT'
            ],
            environment={"NOTE": PUBLIC},
            secrets=str(folder),
            result_schema={"type": "integer"},
        )
        collect >> ingest >> own
    with Watcher(world) as watcher:
        run = airflow_home.run_dag(dag)
    out = "".join(capfd.readouterr())
    assert {ti.task_id: ti.state for ti in run.get_task_instances()} == dict.fromkeys(
        ("collect", "ingest", "own"), "success"
    ), out
    ti = run.get_task_instance("own")
    assert ti.xcom_pull(task_ids="own") == len(SECRET)
    # The sandbox had no way to S3, and the samples are there all the same.
    assert ti.xcom_pull(task_ids="ingest", key="report")["samples"] == 3

    looked_at = {name: "\n".join(texts) for name, texts in watcher.seen.items()}
    looked_at |= {"task logs": out, "database": database()}
    for name, text in looked_at.items():
        # An event tells of labels, not of commands.
        mark = world.task.dag_id if name == "events" else PUBLIC
        assert mark in text, f"{name} was not looked at"
        assert not [form for form in forms(SECRET) if form in text], name
    assert world.nothing_left()
