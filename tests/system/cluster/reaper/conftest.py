"""A real Docker engine and a real Airflow API for the reaper. Without an engine its tests are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient
from docker.errors import DockerException

from tests.system.cluster.reaper import tiny_image
from tests.system.cluster.reaper.airflow_server import AirflowServer
from tests.system.cluster.reaper.world import World


@pytest.fixture(scope="session")
def client() -> Iterator[APIClient]:
    try:
        client = APIClient(base_url="unix:///var/run/docker.sock", version="auto")
    except DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def tiny(client: APIClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    try:
        return tiny_image.make(client, tmp_path_factory.mktemp("tiny"))
    except OSError as error:
        pytest.skip(f"the image for tests cannot be made: {error}")


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    server = AirflowServer(tmp_path_factory.mktemp("airflow") / "home")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def world(airflow: AirflowServer, client: APIClient, tiny: str, tmp_path: Path) -> Iterator[World]:
    place = World(airflow, client, tiny, tmp_path / "scratch")
    yield place
    place.tidy()
