"""The demo's update on two workers: the same corpus as without a cluster, by containers of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpus.store.object_store import Store
from corpus.store.snapshots import Snapshot
from deploy.local import demo
from deploy.local.cluster.compose import docker
from deploy.local.cluster.workdir import REPO
from tests.system.cluster.harness import Input, Lab, Update
from tests.system.cluster.harness_faults import go_on
from tests.system.cluster.harness_wait import until

pytestmark = pytest.mark.timeout(1200)
HOSTILE = ("ingest", "extract")


@pytest.fixture(scope="module")
def update(lab: Lab, demo_input: Input) -> Iterator[Update]:
    """Of two workers with a slot each; of each service one shard takes long, so the other worker has others."""
    cluster = lab.cluster
    cluster.configure(AIRFLOW__CELERY__WORKER_CONCURRENCY=1)
    cluster.up("--workers", "2")
    try:
        found = lab.update(demo_input)
        for service in HOSTILE:
            _share(found, service)
        assert found.wait() == "success"
        yield found
    finally:
        cluster.configure()
        cluster.up("--workers", "2")


def _share(update: Update, service: str) -> None:
    """Freeze a shard of a service until the other worker has one, too."""
    container = update.held(service)
    until(f"{service} on the other worker", lambda: len(_ran_on(update, service)) == 2, 120)
    go_on(container.id)


def _ran_on(update: Update, service: str) -> set[str]:
    """Hosts that have, or had, a shard of a service."""
    return {one["hostname"] for one in update.tasks() if one["task_id"] == service} - {"", None}


def test_shards_ran_on_both_workers(lab: Lab, update: Update):
    workers = {one.id[:12] for one in lab.cluster.containers("worker")}
    assert len(workers) == 2
    for service in HOSTILE:
        assert _ran_on(update, service) == workers


def test_the_content_is_that_of_the_embedded_default(
    update: Update, demo_input: Input, tmp_path: Path
):
    update.must_succeed(demo_input.embedded(tmp_path))


def test_the_content_is_the_one_that_the_readme_shows(update: Update, demo_input: Input):
    if not all(wheel.is_in(demo_input.samples) for wheel in demo.pinned()):
        pytest.skip("the demo's wheels cannot be downloaded here")
    shown = re.search(r"digest +(\w{64})", (REPO / "README.md").read_text())
    assert shown
    update.must_succeed(shown[1])


def test_a_person_verifies_it_on_a_host(lab: Lab, update: Update):
    # These tests have their corpora elsewhere than a cluster has its own.
    mount = ("--volume", f"{update.root}:{update.root}")
    told = lab.cluster.compose.run(
        *("run", "--rm", "-T", *mount, "corpus", "verify", "latest", "--json"), capture=True
    )
    assert json.loads(told)["snapshot"] == Snapshot.open(Store(update.root)).id


def test_every_container_was_of_our_images_and_the_manifest_names_them(lab: Lab, update: Update):
    tag = lab.cluster.place.settings()["CORPUS_IMAGE_TAG"]
    names = {name: f"corpus-{name}:{tag}" for name in ("services", "extractor")}
    ids = {
        name: docker("inspect", "--format", "{{.Id}}", image).strip()
        for name, image in names.items()
    }
    ran: dict[str, set[str]] = {}
    for container in update.containers():
        service = container.labels["corpus.task_id"].replace("_", "-")
        sandbox = service in HOSTILE and container.step == "run"
        assert container.image == ids["extractor" if sandbox else "services"]
        ran.setdefault(service, set()).add(container.image)
    images = Snapshot.open(Store(update.root)).manifest["images"]
    assert {service: {one["digest"] for one in used} for service, used in images.items()} == ran


def test_each_task_ran_once_and_in_as_many_containers_as_it_has_steps(update: Update):
    ran = [(one.task, one.step) for one in update.containers()]
    assert len(ran) == len(set(ran))
    for task, step in ran:
        hostile = task.split("[")[0] in HOSTILE
        assert step in (("stage-in", "run", "stage-out") if hostile else ("run",))


def test_what_read_hostile_bytes_could_do_nothing_else(update: Update):
    sandboxes = [
        one.inspected
        for one in update.containers()
        if one.labels["corpus.task_id"] in HOSTILE and one.step == "run"
    ]
    assert sandboxes
    for found in sandboxes:
        assert found is not None
        host = found["HostConfig"]
        assert host["NetworkMode"] == "none"
        assert host["ReadonlyRootfs"] is True
        assert host["Privileged"] is False
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert host["SecurityOpt"] == ["no-new-privileges"]
        assert host["PidsLimit"] > 0
        assert host["Memory"] == host["MemorySwap"] > 0
        assert host["CpuQuota"] > 0
        assert host["Init"] is True
        assert found["Config"]["User"] not in ("", "0", "0:0", "root")
        assert not any("docker.sock" in mount["Source"] for mount in found["Mounts"])
        writable = [mount["Destination"] for mount in found["Mounts"] if mount["RW"]]
        assert all(path.startswith(("/workspace", "/spool", "/results")) for path in writable)
        assert "conf.d" not in {Path(mount["Destination"]).name for mount in found["Mounts"]}
