"""What tests of containers ask an engine, and how they run a task's containers."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator
from docker import APIClient
from docker.errors import NotFound

from operators.containers.client import Client
from operators.containers.engine import Engine
from operators.containers.scratch import CORPUS_USER, Scratch
from operators.containers.spec import Bind, Limits, Spec
from operators.containers.task_containers import TaskContainers
from operators.settings import DockerSettings
from operators.task_try import PREFIX, TaskTry
from tests.support import airflow_home

URL = "unix:///var/run/docker.sock"


class Births:
    """Listens to an engine for containers that are made; it forgets itself what was 256 events ago."""

    def __init__(self, dag_id: str) -> None:
        self._client = APIClient(base_url=URL, version="auto", timeout=3_600)
        label = f"{PREFIX}dag_id={dag_id}"
        filters = {"type": "container", "event": ["create", "destroy"], "label": label}
        self._events = self._client.events(filters=filters, decode=True)
        self._made: dict[str, dict[str, str]] = {}
        self._gone: set[str] = set()
        threading.Thread(target=self._listen, daemon=True).start()

    def seen(self, live: Callable[[], set[str]]) -> list[dict[str, str]]:
        """Labels in the order of creation, once all that has happened has been heard."""
        assert wait_for(lambda: set(self._made) == self._gone | live())
        return list(self._made.values())

    def close(self) -> None:
        self._events.close()
        self._client.close()

    def _listen(self) -> None:
        for event in self._events:
            actor = event["Actor"]
            if event["Action"] == "create":
                self._made[actor["ID"]] = actor["Attributes"]
            else:
                self._gone.add(actor["ID"])


@dataclass
class World:
    """An engine, an image, the folders of a host, and a task.

    :param work: folder of the test.
    :param task: the first try of a task whose DAG is this test's alone.
    :param births: listens for containers of that DAG.
    """

    client: APIClient
    image: str
    extractor: str
    work: Path
    task: TaskTry
    births: Births

    @property
    def scratch(self) -> Path:
        return self.work / "scratch"

    @property
    def corpus(self) -> Path:
        return self.work / "corpus"

    @property
    def samples(self) -> Path:
        return self.work / "samples"

    def environment(self) -> dict[str, str]:
        """Settings of a worker on this host."""
        return {
            "CORPUS_RUNNER": "docker",
            "CORPUS_STORE__ROOT": str(self.corpus),
            "CORPUS_SOURCES__URLS": json.dumps([str(self.samples)]),
            "CORPUS_DOCKER__URL": URL,
            "CORPUS_DOCKER__SCRATCH": str(self.scratch),
            "CORPUS_DOCKER__SERVICES_IMAGE": self.image,
            "CORPUS_DOCKER__EXTRACTOR_IMAGE": self.extractor,
            "CORPUS_DOCKER__MEMORY_BYTES": str(2**30),
            "CORPUS_DOCKER__ENGINE_WAIT_S": "30",
        }

    def retry(self, **changes: Any) -> TaskTry:
        """The next try of the task, in its generation unless `changes` say otherwise."""
        following = replace(
            self.task, try_number=self.task.try_number + 1, task_instance_id=str(uuid.uuid4())
        )
        self.task = replace(following, **changes)
        return self.task

    def spec(self, script: str, **changes: Any) -> Spec:
        """A container that runs a shell script, with its results folder."""
        docker = DockerSettings(memory_bytes=256 * 2**20)
        spec = Spec(
            image=self.image,
            entrypoint=["sh", "-c"],
            command=[script],
            user=":".join(map(str, CORPUS_USER)),
            limits=Limits.of(docker),
        )
        return replace(spec, **changes)

    def containers(
        self,
        say: Callable[[str], object],
        *,
        url: str = URL,
        wait_s: float = 30,
        **options: Any,
    ) -> TaskContainers:
        """The containers of the task, by a way to the engine of their own."""
        engine = Engine(Client(url), wait_s=wait_s, say=say)
        scratch = Scratch(self.scratch, self.task, CORPUS_USER)
        return TaskContainers(engine, scratch, say=say, **{"max_lines": 20_000, **options})

    def shared(self) -> Bind:
        """A folder of the scratch, at /shared in the container; made when the task is claimed."""
        folder = Scratch(self.scratch, self.task, CORPUS_USER).path / "shared"
        return Bind(str(folder), "/shared", writable=True)

    def live(self, dag_id: str | None = None) -> list[dict[str, Any]]:
        """Containers of the task that exist, in whatever state."""
        label = f"{PREFIX}dag_id={dag_id or self.task.dag_id}"
        found: list[dict[str, Any]] = self.client.containers(all=True, filters={"label": label})
        return found

    def created(self) -> list[dict[str, str]]:
        """Labels of all containers of the task's DAG so far, those gone by now too."""
        return self.births.seen(lambda: {container["Id"] for container in self.live()})

    def run(self, operator: type[BaseOperator], params: Any = None, **arguments: Any) -> Any:
        """Run an operator as the task of the test's DAG, by a real Airflow; its task instance."""
        with DAG(self.task.dag_id, params=params) as dag:
            operator(task_id="task", **arguments)
        return airflow_home.run_dag(dag).get_task_instance("task")

    def nothing_left(self) -> bool:
        return not self.live() and not os.listdir(self.scratch)

    def remove_all(self) -> None:
        for container in self.live():
            try:
                self.client.remove_container(container["Id"], force=True, v=True)
            except NotFound:
                continue


def wait_for(condition: Callable[[], object], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False
