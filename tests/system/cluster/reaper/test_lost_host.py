"""A host is lost with a container of a task, and the task's next try runs on another host.

One engine stands for those of two hosts: each has a scratch folder of its own, which is what tells
their containers apart.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient
from docker.errors import NotFound

import corpus.contract.run_identity
from corpus.contract.registry import SERVICES
from corpus.snapshots.verify import verify
from corpus.store.object_store import Store
from corpus.store.snapshots import Snapshot
from operators.containers.labels import SCRATCH, STEP
from operators.containers.scratch import CORPUS_USER
from operators.reaper.airflow_api import TaskKey
from operators.reaper.reaper import Reaper
from operators.reaper.report import Report
from operators.task_try import TaskTry
from tests.support import killed_chain, launchers
from tests.system.cluster.reaper.airflow_server import DAG, REPO, AirflowServer

TAG = os.environ.get("CORPUS_IMAGE_TAG", "latest")
IMAGES = (f"corpus-services:{TAG}", f"corpus-extractor:{TAG}")

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Host:
    """A worker's host, as its scratch folder and its name make one."""

    name: str
    scratch: Path
    work: Path
    client: APIClient
    airflow: AirflowServer

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "CORPUS_STORE__ROOT": str(self.work / "corpus"),
            "CORPUS_SOURCES__URLS": json.dumps([str(self.work / "samples")]),
            "CORPUS_VERDICTS__FEEDS": json.dumps(
                [{"place": str(self.work / "verdicts" / "verdicts.csv"), "reporter": "*"}]
            ),
            "CORPUS_SHARDS__MAX_FILES": "4",
            "CORPUS_DOCKER__SCRATCH": str(self.scratch),
            "CORPUS_DOCKER__HOST": self.name,
            "CORPUS_DOCKER__SERVICES_IMAGE": IMAGES[0],
            "CORPUS_DOCKER__EXTRACTOR_IMAGE": IMAGES[1],
            "CORPUS_DOCKER__MEMORY_BYTES": str(2**30),
        }

    def start(self, service: str, task: TaskTry, **options: Any) -> subprocess.Popen[str]:
        """A try of a task here."""
        mine = asdict(replace(task, host=self.name))
        arguments = [service, json.dumps({"update": killed_chain.UPDATE, **options})]
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.system.cluster.reaper.worker_host",
                *arguments,
                json.dumps(mine),
            ],
            cwd=REPO,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, service: str, task: TaskTry, **options: Any) -> None:
        process = self.start(service, task, **options)
        output, _ = process.communicate()
        assert process.returncode in (0, 3), output

    def containers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.containers(
            all=True, filters={"label": f"{SCRATCH}={self.scratch}"}
        )
        return found

    def hold(self, step: str, process: subprocess.Popen[str]) -> str:
        """Freeze the container of a step as soon as it runs; its id."""
        while process.poll() is None:
            for container in self.containers():
                if container["Labels"][STEP] == step and container["State"] == "running":
                    self.client.pause(container["Id"])
                    return str(container["Id"])
            time.sleep(0.02)
        raise AssertionError(process.communicate()[0])

    def reaper(self) -> Reaper:
        settings = self.airflow.settings(
            docker={"scratch": str(self.scratch), "host": self.name}, reaper={"images_days": 0}
        )
        return Reaper(settings, Report(), grace_s=0)

    def tidy(self) -> None:
        for container in self.containers():
            try:
                self.client.remove_container(container["Id"], force=True, v=True)
            except NotFound:
                continue


@dataclass(frozen=True)
class Hosts:
    a: Host
    b: Host
    task: TaskTry

    @property
    def store(self) -> Store:
        return Store(self.a.work / "corpus")

    def retry(self) -> TaskTry:
        """The task's second try, which Airflow has begun."""
        self.a.airflow.set(TaskKey.of(self.task), "running", 2, self.task.generation)
        return replace(self.task, try_number=2, task_instance_id=str(uuid.uuid4()))

    def up_to(self, service: str) -> None:
        """Run the services before this one."""
        self._work("corpus", list(SERVICES)[: list(SERVICES).index(service)])

    def from_after(self, service: str) -> None:
        self._work("corpus", list(SERVICES)[list(SERVICES).index(service) + 1 :])

    def undisturbed(self) -> str:
        """The content digest of the same update where no host was lost."""
        return self._work("undisturbed", list(SERVICES))

    def _work(self, name: str, services: list[str]) -> str:
        """Run services to which nothing happens, in this process; what is published then."""
        work = self.a.work
        made = killed_chain.context(
            work / name, work / "samples", work / "verdicts" / "verdicts.csv"
        )
        for service in services:
            killed_chain.run(service, made)
        own(work / name)
        return self.published(made.store) if services[-1] == "publish" else ""

    @staticmethod
    def published(store: Store) -> str:
        return str(Snapshot.open(store).manifest["content_digest"])


def own(folder: Path) -> None:
    """Give all in a folder to the user of the containers."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, *CORPUS_USER)


@pytest.fixture
def hosts(client: APIClient, airflow: AirflowServer, tmp_path: Path) -> Iterator[Hosts]:
    if os.geteuid() != 0:
        pytest.skip("only root can make folders for the user of the containers")
    for name in IMAGES:
        if not client.images(name):
            pytest.skip(f"the engine has no image {name}: `make images` builds it")
    work = tmp_path / "shared"
    for name in ("corpus", "verdicts"):
        (work / name).mkdir(parents=True)
    launchers.verdicts(launchers.samples(work / "samples"), work / "verdicts" / "verdicts.csv")
    found = []
    for name in ("a", "b"):
        (scratch := tmp_path / f"scratch-{name}").mkdir()
        found.append(Host(name, scratch, work, client, airflow))
    for folder in (work / "corpus", *(host.scratch for host in found)):
        os.chown(folder, *CORPUS_USER)
    run_uuid = corpus.contract.run_identity.run_uuid(DAG, airflow.run_id)
    task = TaskTry(
        DAG, airflow.run_id, "mapped", 0, 1, run_uuid, str(uuid.uuid4()), 3, found[0].name
    )
    yield Hosts(found[0], found[1], task)
    for host in found:
        host.tidy()


def test_the_lost_container_is_reaped_while_the_other_host_works(hosts: Hosts) -> None:
    a, b = hosts.a, hosts.b
    hosts.up_to("ingest")
    a.airflow.set(TaskKey.of(hosts.task), "running", 1, hosts.task.generation)
    first = a.start("ingest", hosts.task)
    lost = a.hold("run", first)
    first.send_signal(signal.SIGKILL)
    first.wait()
    reapers = [a.reaper(), b.reaper()]

    def reap() -> list[int]:
        return [[reaper.look() for _ in range(2)][-1].removed_containers for reaper in reapers]

    # A worker was lost; Airflow has not noticed, and its container may yet be taken over.
    assert reap() == [0, 0]
    a.airflow.set(TaskKey.of(hosts.task), "up_for_retry", 1, hosts.task.generation)
    assert reap() == [0, 0]

    second = b.start("ingest", hosts.retry())
    working = b.hold("run", second)
    assert reap() == [1, 0]
    assert a.containers() == []
    assert not [path for path in a.scratch.iterdir() if path.is_dir()]
    assert [container["Id"] for container in b.containers()] == [working]
    b.client.unpause(working)
    output, _ = second.communicate()

    assert second.returncode == 0, output
    assert lost[:12] not in output
    hosts.from_after("ingest")
    assert hosts.published(hosts.store) == hosts.undisturbed()


@pytest.mark.parametrize(
    ("service", "step"), [("ingest", "run"), ("ingest", "stage-out"), ("label", "run")]
)
def test_nothing_of_a_lost_container_is_committed_twice(
    hosts: Hosts, service: str, step: str
) -> None:
    """It goes on after all: its host was only cut off, and comes back when all is published."""
    a, b = hosts.a, hosts.b
    hosts.up_to(service)
    first = a.start(service, hosts.task)
    lost = a.hold(step, first)
    first.send_signal(signal.SIGKILL)
    first.wait()

    b.run(service, hosts.retry())
    hosts.from_after(service)
    published = Snapshot.open(hosts.store)
    assert hosts.published(hosts.store) == hosts.undisturbed()

    a.client.unpause(lost)
    # It did all of its work, once more.
    assert a.client.wait(lost)["StatusCode"] == 0

    now = Snapshot.open(hosts.store)
    assert (now.id, now.manifest) == (published.id, published.manifest)
    assert verify(hosts.store).findings == []
    a.airflow.set(TaskKey.of(hosts.task), "success", 2, hosts.task.generation)
    reaper = a.reaper()
    reaper.look()
    counts = reaper.look()
    assert (counts.removed_containers, counts.removed_folders) == (1, 1)
    assert a.containers() == []
