"""A cluster of its own for tests: real containers, Celery, Redis and Postgres."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.common.airflow_api import AirflowApi
from deploy.common.errors import DeployError
from deploy.common.ports import free_port
from deploy.local.cluster.compose import Compose, Container, docker
from deploy.local.cluster.up import IMAGES
from deploy.local.cluster.users import login
from deploy.local.cluster.workdir import REPO, Place
from tests.system.cluster import harness_setup
from tests.system.cluster.harness import demo_input, expected, lab, small, undisturbed

# Fixtures are what stands in here.
__all__ = [
    "demo_input",
    "expected",
    "lab",
    "small",
    "undisturbed",
]

FAULTS = Path(__file__).with_name("faults.env")
# Of this run, so that nothing that a killed one left is in its way.
PROJECT = f"corpus-test-{os.getpid()}"
# As behind a proxy with a path of its own, which is not there: nothing inside may depend on it.
BASE_URL = "https://ml.example/corpus-airflow"
ALL = {"container": ("--all",)}


@dataclass(frozen=True)
class Cluster:
    """A running cluster, and the same commands that a person has."""

    place: Place

    @property
    def compose(self) -> Compose:
        return Compose(self.place)

    @property
    def api(self) -> AirflowApi:
        return AirflowApi(*login(self.place))

    def containers(self, service: str | None = None) -> list[Container]:
        """Containers of one service, or of all."""
        return [one for one in self.compose.ps() if service in (None, one.service)]

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python -m deploy.local.cluster ARGUMENTS...`, with its output."""
        command = [sys.executable, "-m", "deploy.local.cluster", "--work", str(self.place.work)]
        # The shell of somebody behind a proxy, which is for the world outside.
        proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY"), harness_setup.DEAD_PROXY)
        return subprocess.run(
            [*command, *arguments],
            cwd=REPO,
            env={**os.environ, **proxies},
            capture_output=True,
            text=True,
        )

    def up(self, *arguments: str) -> str:
        """Start what is missing, with the settings as they are now; what was printed."""
        done = self("up", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def configure(self, **variables: object) -> None:
        """Settings for the next `up`, beside those of faults.env."""
        chosen = {"AIRFLOW__API__BASE_URL": BASE_URL, **variables}
        lines = [f"{name}={value}" for name, value in chosen.items()]
        (self.place / "site.env").write_text(FAULTS.read_text() + "\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker engine that has all images."""
    try:
        missing = [name for name in IMAGES if not docker("images", "-q", f"corpus-{name}").strip()]
    except (DeployError, OSError) as error:
        pytest.skip(f"there is no Docker engine: {error}")
    if missing:
        pytest.skip(f"images are missing ({', '.join(missing)}): `make images` builds them")


@pytest.fixture(scope="session")
def cluster(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers, the demo as input, and settings that notice faults sooner.

    CORPUS_TEST_CLUSTER names the work folder of a cluster that is kept, for one test after another.
    """
    kept = os.environ.get("CORPUS_TEST_CLUSTER")
    work = Path(kept) if kept else tmp_path_factory.mktemp("cluster")
    place = Place(work.resolve())
    place.folder.mkdir(parents=True, exist_ok=True)
    if (downloaded := REPO / ".work" / "demo").is_dir() and not (work / "demo").exists():
        shutil.copytree(downloaded, work / "demo")
    found = Cluster(place)
    found.configure()
    harness_setup.prepare(place)
    first = [] if place.exists else ["--project", PROJECT, "--port", str(free_port())]
    try:
        found.up(*first, "--workers", "2")
        yield found
    finally:
        if not kept:
            harness_setup.undo(place)
        if not kept and place.exists:
            project = found.compose.project
            found("down", "--purge", "--timeout", "10")
            # Of the whole project nothing is left.
            for kind in ("container", "volume", "network"):
                label = f"label=com.docker.compose.project={project}"
                left = docker(kind, "ls", "--quiet", "--filter", label, *ALL.get(kind, ()))
                assert not left, kind
            assert not place.folder.exists()
