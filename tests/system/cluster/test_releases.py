"""A new release comes to one host after the other while updates run: each run sees one release, and none fails."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.host.manifest import PACKAGES, Manifest
from deploy.host.releases import Releases
from deploy.local.cluster.compose import FILES, Compose
from deploy.local.cluster.workdir import REPO
from deploy.local.waits import Waits
from tests.support.full import FULL
from tests.system.cluster.conftest import Cluster
from tests.system.cluster.harness import Lab, Update
from tests.system.cluster.harness_faults import go_on
from tests.system.cluster.harness_report import Measurement, note
from tests.system.cluster.harness_wait import until

pytestmark = pytest.mark.timeout(1200)
OLD, NEW = "1.0.0", "1.1.0"
FILES_TOLD = {"dags/corpus_update.py", "operators/base.py", "operators/scheduling/listener.py"}
# A second host: a worker with releases of its own.
HOST = """
services:
  worker-b:
    extends: {{file: {file}, service: worker}}
    scale: 1
    volumes:
      - {{type: bind, source: {releases}, target: /opt/corpus-airflow, read_only: true}}
"""


@dataclass(frozen=True)
class Host:
    """Where one host has its releases."""

    releases: Releases
    payloads: dict[str, Path]

    def upgrade(self, version: str) -> None:
        """What installing the package does."""
        self.releases.switch(self.releases.install(self.payloads[version]))


@pytest.fixture(scope="module")
def payloads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two releases of the bundle; in a task's log, the DAG file and the operators of each say which they are of."""
    folder = tmp_path_factory.mktemp("payloads")
    for version in (OLD, NEW):
        for package in PACKAGES:
            shutil.copytree(
                REPO / package,
                folder / version / package,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        for file in ("dags/corpus_update.py", "operators/base.py"):
            with (folder / version / file).open("a") as code:
                code.write(f'\nprint("{file} is of {version}")\n')
        dag = folder / version / "dags" / "corpus_update.py"
        dag.write_text(dag.read_text().replace('"snapshot"]', f'"snapshot", "{version}"]'))
        listener = folder / version / "operators" / "scheduling" / "listener.py"
        hook, body = listener.read_text().split("    bind_contextvars(")
        listener.write_text(
            f'{hook}    print("operators/scheduling/listener.py is of {version}")\n    bind_contextvars({body}'
        )
        Manifest.of(folder / version, version, "test").write(folder / version)
    return {version: folder / version for version in (OLD, NEW)}


@pytest.fixture
def hosts(
    cluster: Cluster, payloads: dict[str, Path], tmp_path: Path
) -> Iterator[tuple[Host, Host]]:
    """One host with the control plane and a worker, and one with a worker alone; one slot each."""
    before = Releases(cluster.place / "code").current
    assert before
    first = Host(Releases(cluster.place / "code"), payloads)
    second = Host(Releases(tmp_path / "releases"), payloads)
    override = tmp_path / "host.yaml"
    override.write_text(HOST.format(file=FILES[0], releases=second.releases.folder))
    compose = Compose(cluster.place, [*FILES, override])
    wait = ("--wait", "--wait-timeout", "300")
    try:
        first.upgrade(OLD)
        second.upgrade(OLD)
        cluster.configure(AIRFLOW__CELERY__WORKER_CONCURRENCY=1, CORPUS_WORKERS=1)
        compose.run(
            "up", "--detach", "--no-build", "--force-recreate", *wait, *SERVICES, capture=True
        )
        yield first, second
    finally:
        compose.run("rm", "--stop", "--force", "worker-b", capture=True)
        cluster.configure()
        first.releases.switch(before)
        cluster.up("--workers", "2")


SERVICES = ("scheduler", "dag-processor", "worker", "worker-b")


def test_a_run_ends_on_its_release_while_hosts_are_upgraded(
    lab: Lab, hosts: tuple[Host, Host], expected: str
):
    first, second = hosts
    until("the old release in Airflow", lambda: version_of(lab) == OLD, 120)
    update = lab.update()
    container = update.held("extract")
    first.upgrade(NEW)
    flipped = time.monotonic()
    until("the new release in Airflow", lambda: version_of(lab) == NEW, 120)
    taken = time.monotonic() - flipped
    # What Airflow knows of the new release is not the last reading of the old one.
    assert tags(lab) == {"corpus", "snapshot", NEW}
    go_on(container.id)
    update.must_succeed(expected)
    assert releases_of(update) == {OLD}

    # The second host has not got the new release: what it takes is put off, and takes place elsewhere or later.
    triggered = datetime.now(UTC)
    update = lab.update()
    until("a line on what is put off", lambda: f"waits for release {NEW} on " in told(update), 120)
    waiting = next(one for one in update.tasks() if one["state"] == "up_for_reschedule")
    assert f"Install corpus-airflow={NEW} here" in "\n".join(update.log(waiting))
    second.upgrade(NEW)
    update.must_succeed(expected)
    assert releases_of(update) == {NEW}
    assert {task["try_number"] for task in update.tasks()} == {1}

    began = min(datetime.fromisoformat(task["start_date"]) for task in update.tasks())
    note(Measurement("a new release: the next run takes it", taken))
    note(Measurement("a new run: its first task", (began - triggered).total_seconds()))

    # And back, by the same way: both hosts change under a run that is under way.
    update = lab.update()
    container = update.held("extract")
    for host in hosts:
        host.upgrade(OLD)
    until("the old release in Airflow", lambda: version_of(lab) == OLD, 120)
    go_on(container.id)
    update.must_succeed(expected)
    assert releases_of(update) == {NEW}
    if FULL:
        update = lab.update()
        update.must_succeed(expected)
        assert releases_of(update) == {OLD}


def told(update: Update) -> str:
    """What `make cluster-status` says of a run."""
    api = update.lab.api
    return Waits(api).of(api.run(update.dag, update.run_id))


def version_of(lab: Lab) -> str:
    """The release that Airflow's next run will take."""
    versions = lab.api.call(
        "GET", "dags/corpus_update/dagVersions?order_by=-version_number&limit=1"
    )
    return str(versions["dag_versions"][0]["bundle_version"])


def tags(lab: Lab) -> set[str]:
    return {tag["name"] for tag in lab.api.call("GET", "dags/corpus_update")["tags"]}


def releases_of(update: Update) -> set[str]:
    """What Airflow says that the run is of, and what its tasks' code said, in DAG, operators and corpus."""
    run = update.lab.api.call("GET", f"dags/{update.dag}/dagRuns/{update.run_id}")
    told = {run["bundle_version"] or json.dumps(run["dag_versions"])}
    for task in update.tasks():
        said = re.findall(r"(\S+) is of (\S+)", "\n".join(update.log(task)))
        assert {file for file, _ in said} == FILES_TOLD, task
        told |= {version for _, version in said}
    return told
