"""One host as the reaper sees it, and the reaper at work there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

from docker import APIClient
from docker.errors import NotFound

import corpus.contract.run_identity
from operators.containers.labels import SCRATCH, STEP
from operators.containers.scratch import CORPUS_USER, Scratch
from operators.reaper.reaper import Reaper
from operators.reaper.report import Counts, Report
from operators.settings import WorkerSettings
from operators.task_try import TaskTry
from tests.system.cluster.reaper.airflow_server import DAG, REPO, AirflowServer


class World:
    """One host as the reaper sees it: a scratch folder, and containers on the engine."""

    def __init__(self, airflow: AirflowServer, client: APIClient, image: str, root: Path) -> None:
        self.airflow = airflow
        self.client = client
        self.image = image
        self.root = root
        self.host = "here"
        self.made: list[str] = []
        root.mkdir()

    def settings(self, **reaper: object) -> WorkerSettings:
        docker = {"scratch": str(self.root), "host": self.host}
        return self.airflow.settings(reaper=dict(reaper), docker=docker)

    def reaper(self, *, grace: float = 0, dry_run: bool = False, **reaper: object) -> Reaper:
        # Images are others' too on the engine of a test.
        settings = self.settings(**{"images_days": 0, **reaper})
        return Reaper(settings, Report(dry_run=dry_run), grace_s=grace, dry_run=dry_run)

    def task(self, index: int, try_number: int = 1, generation: int = 3) -> TaskTry:
        """A mapped task of the run that Airflow has."""
        run = self.airflow.run_id
        return TaskTry(
            DAG,
            run,
            "mapped",
            index,
            try_number,
            corpus.contract.run_identity.run_uuid(DAG, run),
            str(uuid.uuid4()),
            generation,
            self.host,
        )

    def claim(self, task: TaskTry) -> Path:
        """The task's scratch folder, as its try leaves it when it is killed."""
        place = Scratch(self.root, task, CORPUS_USER)
        place.claim()
        file = place.folder("run") / "result.json"
        file.write_text("{}")
        if os.geteuid() == 0:
            os.chown(file, *CORPUS_USER)
        return place.path

    def run(
        self,
        task: TaskTry | None = None,
        *,
        command: str = "sleep 600",
        labels: dict[str, str] | None = None,
    ) -> str:
        ours = {} if task is None else task.labels() | {SCRATCH: str(self.root), STEP: "run"}
        container = self.client.create_container(
            self.image,
            ["sh", "-c", f"echo up; {command}"],
            labels={**ours, **(labels or {})},
            host_config=self.client.create_host_config(init=True),
        )["Id"]
        self.made.append(container)
        self.client.start(container)
        if "sleep" in command:
            while not self.client.logs(container):
                assert self.client.inspect_container(container)["State"]["Running"]
                time.sleep(0.05)
        return str(container)

    def has(self, container: str) -> bool:
        try:
            self.client.inspect_container(container)
        except NotFound:
            return False
        return True

    def tidy(self) -> None:
        for container in self.made:
            try:
                self.client.remove_container(container, force=True)
            except NotFound:
                continue


def passes(reaper: Reaper, count: int = 2) -> Counts:
    for _ in range(count):
        counts = reaper.look()
    return counts


def environment(world: World) -> dict[str, str]:
    return {
        **os.environ,
        "CORPUS_DOCKER__SCRATCH": str(world.root),
        "CORPUS_DOCKER__HOST": world.host,
        "CORPUS_REAPER__IMAGES_DAYS": "0",
        "CORPUS_REAPER__API_URL": world.airflow.url,
        "CORPUS_REAPER__API_USER": "reader",
        "CORPUS_REAPER__API_PASSWORD_FILE": str(world.airflow.password_file),
    }


def command(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "operators.reaper", *arguments],
        env=environment,
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=120,
    )
