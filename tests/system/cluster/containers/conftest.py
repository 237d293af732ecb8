"""A real Docker engine for tests of what runs in containers. Without one they are skipped."""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient
from docker.errors import DockerException

from operators.containers.scratch import CORPUS_USER
from operators.task_try import TaskTry
from tests.support import airflow_home
from tests.system.cluster.containers.world import URL, Births, World

TAG = os.environ.get("CORPUS_IMAGE_TAG", "latest")


@pytest.fixture(scope="session", autouse=True)
def airflow_db() -> None:
    airflow_home.migrate()


@pytest.fixture(scope="session")
def client() -> Iterator[APIClient]:
    try:
        client = APIClient(base_url=URL, version="auto")
    except DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def image(client: APIClient) -> str:
    """The services image: all of Python, a shell, and the `corpus` command."""
    return _present(client, f"corpus-services:{TAG}")


@pytest.fixture(scope="session")
def extractor(client: APIClient) -> str:
    return _present(client, f"corpus-extractor:{TAG}")


@pytest.fixture
def world(
    client: APIClient, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """One host as a worker sees it, with a task to run; nothing of it stays behind."""
    if os.geteuid() != 0:
        pytest.skip("only root can make folders for the user of the containers")
    task = TaskTry(
        dag_id=f"test_{uuid.uuid4().hex[:12]}",
        run_id="manual__1",
        task_id="task",
        map_index=-1,
        try_number=1,
        run_uuid=str(uuid.uuid4()),
        task_instance_id=str(uuid.uuid4()),
        generation=2,
        host="test",
    )
    births = Births(task.dag_id)
    world = World(client, image, f"corpus-extractor:{TAG}", tmp_path, task, births)
    for folder in (world.scratch, world.corpus, world.samples):
        folder.mkdir()
        os.chown(folder, *CORPUS_USER)
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)
    yield world
    world.remove_all()
    births.close()


@pytest.fixture
def network(client: APIClient) -> Iterator[tuple[str, str]]:
    """A network for the trusted steps, and the address of this host on it."""
    name = f"corpus-test-{uuid.uuid4().hex[:8]}"
    client.create_network(name, driver="bridge", check_duplicate=True)
    try:
        yield name, client.inspect_network(name)["IPAM"]["Config"][0]["Gateway"]
    finally:
        client.remove_network(name)


@pytest.fixture
def silence(network: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a web server that takes a request and never answers: a service waits there."""
    name, host = network
    monkeypatch.setenv("CORPUS_DOCKER__NETWORK", name)
    with socket.create_server((host, 0)) as server:
        url = f"http://{host}:{server.getsockname()[1]}/verdicts.csv"
        monkeypatch.setenv("CORPUS_PLACES__ROOTS", json.dumps([url]))
        yield url


def _present(client: APIClient, name: str) -> str:
    if not client.images(name):
        pytest.skip(f"the engine has no image {name}: `make images` builds it")
    return name
