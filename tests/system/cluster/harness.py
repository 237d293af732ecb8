"""What tests of the cluster do again and again: an update of a fresh corpus, followed to its end."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from corpus.store.object_store import Store
from corpus.store.snapshots import Snapshot
from deploy.common import atomic
from deploy.common.airflow_api import AirflowApi
from deploy.common.errors import ClusterError
from deploy.local import demo
from deploy.local.cluster.compose import docker
from deploy.local.cluster.ownership import hand_over
from deploy.local.cluster.workdir import REPO
from deploy.local.update import DAG
from tests.support import launchers
from tests.system.cluster.harness_events import Seen, Watch
from tests.system.cluster.harness_wait import patiently, until

if TYPE_CHECKING:
    from tests.system.cluster.conftest import Cluster

SERVICES = (
    *("collect", "ingest", "import-verdicts", "label", "extract", "group", "split"),
    *("validate", "publish"),
)

# What an update may take, healing included, before the cluster counts as hanging.
LIMIT_S = 600
ENDED = ("success", "failed")


@dataclass(frozen=True)
class Input:
    """What updates read, and how it is cut."""

    samples: Path
    verdicts: Path
    shards: int
    min_files: int

    def settings(self, root: Path) -> str:
        return (
            f"[store]\nroot = {json.dumps(str(root))}\n"
            f"[sources]\nurls = {json.dumps([str(self.samples)])}\n"
            f'[[verdicts.feeds]]\nplace = {json.dumps(str(self.verdicts))}\nreporter = "*"\n'
            f"[shards]\nworkers = {self.shards}\nmin_files = {self.min_files}\n"
        )

    def embedded(self, folder: Path) -> str:
        """The content digest that the same services make of it as plain processes."""
        file = folder / "corpus.toml"
        file.write_text(self.settings(folder / "corpus"))
        for service in SERVICES:
            done = subprocess.run(
                [sys.executable, "-m", "corpus", service, "--update", "embedded"],
                env={**os.environ, "CORPUS_CONFIG": str(file)},
                cwd=REPO,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
        return digest(folder / "corpus")


def digest(root: Path) -> str:
    return str(Snapshot.open(Store(root)).manifest["content_digest"])


class Lab:
    """The cluster with a watch on its engine; makes updates, each of a corpus of its own."""

    def __init__(self, cluster: Cluster, small: Input, folder: Path) -> None:
        self.cluster = cluster
        self.small = small
        self.api: AirflowApi = patiently(lambda: cluster.api)
        self.watch = Watch()
        self.last: Update | None = None
        self._corpora = folder
        self._numbers = itertools.count(1)
        self._settings = cluster.place / "settings" / "conf.d" / "10-test.toml"

    def update(self, given: Input | None = None, dag: str = DAG) -> Update:
        """Begin an update of a new corpus."""
        root = self.corpus(given or self.small)
        self.api.wait_for_dag(dag)
        self.last = Update(self, dag, patiently(lambda: self.api.trigger(dag)), root)
        return self.last

    def corpus(self, given: Input) -> Path:
        """A new, empty corpus, which the updates to come work on."""
        self._end_last()
        self.wait_until_whole()
        root = self._corpora / str(next(self._numbers))
        root.mkdir(parents=True)
        hand_over([root], f"corpus-airflow:{self.cluster.place.settings()['CORPUS_IMAGE_TAG']}")
        atomic.write_if_other(self._settings, given.settings(root))
        return root

    def wait_until_whole(self) -> None:
        """Until every service is well, after what an earlier test has done to it."""
        compose = self.cluster.compose
        until(
            "a cluster in which all are well",
            lambda: all(one.health == "healthy" for one in compose.ps()),
            LIMIT_S,
        )

    def _end_last(self) -> None:
        """What a test that failed has left running would be in the way of the next."""
        if self.last and self.last.state() not in ENDED:
            path = f"dags/{self.last.dag}/dagRuns/{self.last.run_id}"
            patiently(lambda: self.api.call("PATCH", path, json={"state": "failed"}))

    def close(self) -> None:
        self._end_last()
        self.watch.close()
        self._settings.unlink(missing_ok=True)


@dataclass(frozen=True)
class Update:
    """One run of the master DAG, and the corpus that it works on."""

    lab: Lab
    dag: str
    run_id: str
    root: Path

    def state(self) -> str:
        return patiently(lambda: self.lab.api.run_state(self.dag, self.run_id))

    def tasks(self) -> list[dict[str, Any]]:
        return patiently(lambda: self.lab.api.tasks(self.dag, self.run_id))

    def task(self, name: str) -> dict[str, Any]:
        """One task instance by its name, as `extract[2]` for a mapped one."""
        return next(one for one in self.tasks() if task_name(one) == name)

    def containers(self) -> list[Seen]:
        return self.lab.watch.of(self.run_id)

    def container(self, *tasks: str, step: str = "run") -> Seen:
        """A live container of one of these tasks, as soon as there is one."""

        def found() -> Seen | None:
            assert self.state() not in ENDED, f"the update is over before any of {tasks} ran"
            live = self.lab.watch.live(self.run_id)
            wanted = (one for one in live if one.task.split("[")[0] in tasks and one.step == step)
            return next(wanted, None)

        return until(f"a container of {tasks}", found, LIMIT_S, pause=0.1)

    def held(self, *tasks: str) -> Seen:
        """As `container`, frozen, so that it is still there when the fault happens; `go_on` ends that."""
        while True:
            container = self.container(*tasks)
            try:
                docker("pause", container.id)
            except ClusterError:
                # It has just ended; the next one will do.
                continue
            return container

    def wait(self) -> str:
        """The state in which the run ended."""
        states = until(
            f"the end of {self.run_id}",
            lambda: [state] if (state := self.state()) in ENDED else None,
            LIMIT_S,
            pause=1,
        )
        return states[0]

    def must_succeed(self, expected: str) -> None:
        """By itself, with the content that it would have undisturbed, and nothing left over."""
        assert self.wait() == "success"
        assert digest(self.root) == expected
        assert self.lab.watch.overlaps(self.run_id) == []
        self.must_leave_nothing()

    def must_leave_nothing(self) -> None:
        """No container and no scratch folder, at the latest when the reaper has passed."""
        until(
            f"the end of {self.lab.watch.live(self.run_id)} and of {self.scratch()}",
            lambda: not self.lab.watch.live(self.run_id) and not self.scratch(),
            LIMIT_S / 2,
        )

    def scratch(self) -> list[Path]:
        """The scratch folders of this run's tasks."""
        owners = (self.lab.cluster.place / "scratch").glob("*/owner.json")
        return [owner.parent for owner in owners if self.run_id in owner.read_text()]

    def log(self, task: dict[str, Any]) -> list[str]:
        """The lines of a task's last try."""
        return patiently(lambda: self.lab.api.log(self.dag, self.run_id, task))


def task_name(task: dict[str, Any]) -> str:
    index = f"[{task['map_index']}]" if task["map_index"] >= 0 else ""
    return f"{task['task_id']}{index}"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Input:
    """Real executables, few and small, in a shard for each worker."""
    folder = tmp_path_factory.mktemp("small")
    folder.chmod(0o755)  # for the containers' user
    files = launchers.samples(folder / "samples")
    launchers.verdicts(files, folder / "verdicts.csv")
    return Input(folder / "samples", folder / "verdicts.csv", shards=2, min_files=1)


@pytest.fixture(scope="session")
def expected(small: Input, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The content digest of the small input, made without a cluster."""
    return small.embedded(tmp_path_factory.mktemp("embedded"))


@pytest.fixture(scope="session")
def lab(cluster: Cluster, small: Input, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    found = Lab(cluster, small, tmp_path_factory.mktemp("corpora") / uuid.uuid4().hex)
    yield found
    found.close()


@pytest.fixture(scope="session")
def undisturbed(lab: Lab, expected: str) -> Update:
    """An update of the small input with nothing in its way."""
    update = lab.update()
    update.must_succeed(expected)
    return update


@pytest.fixture(scope="session")
def demo_input(cluster: Cluster) -> Input:
    """The demo's, cut as `make cluster-up` cuts it."""
    samples, verdicts = demo.fetch(cluster.place.work / "demo")
    return Input(samples, verdicts, shards=4, min_files=5)
