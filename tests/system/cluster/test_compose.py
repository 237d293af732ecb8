"""The running cluster: how its containers are kept, and what its commands do to it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.local.cluster import credentials
from deploy.local.cluster.compose import docker
from deploy.local.cluster.workdir import Place
from tests.system.cluster.conftest import Cluster
from tests.system.cluster.harness import Lab, Update, digest
from tests.system.cluster.harness_wait import until
from tests.system.cluster.secrets import forms

pytestmark = pytest.mark.timeout(1200)


def inspected(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """What the engine knows of each container, by name."""
    found = json.loads(docker("inspect", *(one.id for one in cluster.containers())))
    return {one["Name"].lstrip("/"): one for one in found}


def starts(cluster: Cluster) -> dict[str, tuple[str, str]]:
    """Id and time of the last start of each container."""
    return {
        name: (one["Id"], one["State"]["StartedAt"]) for name, one in inspected(cluster).items()
    }


def secret_files(cluster: Cluster) -> list[Path]:
    return credentials.files(cluster.place / "secrets", cluster.place / "users")


def logs(container: str) -> str:
    """All that a container has said, on both its streams."""
    command = ["docker", "logs", container]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_every_container_is_healthy_bounded_and_restarted(cluster: Cluster):
    found = inspected(cluster)
    assert len(found) == 9
    for name, one in found.items():
        host = one["HostConfig"]
        assert one["State"]["Health"]["Status"] == "healthy", name
        assert host["RestartPolicy"]["Name"] == "unless-stopped", name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name
        assert host["ReadonlyRootfs"] is True, name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert one["Config"]["User"] == "50000:50000", name
        ports = [port for ports in (host["PortBindings"] or {}).values() for port in ports]
        assert all(port["HostIp"] == "127.0.0.1" for port in ports), name


def test_secrets_are_the_containers_users_alone(cluster: Cluster):
    for file in secret_files(cluster):
        status = file.stat()
        assert (status.st_uid, status.st_mode & 0o777) == (50000, 0o440), file


def test_no_secret_shows(cluster: Cluster, undisturbed: Update):
    """Not in what the engine tells, nor in a process's environment, nor in what anything has logged."""
    shown = {"inspect": json.dumps(inspected(cluster)), "status": cluster("status").stdout}
    for one in cluster.containers():
        shown[f"{one.name}: logs"] = logs(one.id)
        shown[f"{one.name}: environment"] = docker(
            "exec", one.id, "sh", "-c", "cat /proc/[0-9]*/environ 2>/dev/null || true"
        )
        shown[f"{one.name}: command lines"] = docker("top", one.id, "-eo", "pid,args")
    for log in (cluster.place / "logs").rglob("*.log"):
        shown[str(log)] = log.read_text(errors="replace")
    assert any(str(undisturbed.run_id) in name for name in shown)
    for file in secret_files(cluster):
        for form in forms(file.read_text()):
            assert [where for where, text in shown.items() if form in text] == [], file.name


@pytest.fixture
def current(cluster: Cluster) -> Cluster:
    """The cluster with the code and the images as they are now, whoever changed them since its start."""
    cluster.up()
    return cluster


def test_up_again_starts_nothing_anew(current: Cluster):
    before = starts(current)
    assert "init" not in current.up()
    assert starts(current) == before


def test_a_changed_setting_starts_anew_only_whom_it_concerns(current: Cluster):
    before = starts(current)
    current.configure(AIRFLOW__CORE__PARALLELISM=3)
    current.up()
    changed = {name for name, start in starts(current).items() if before[name] != start}
    current.configure()
    current.up()
    assert changed == {f"{current.compose.project}-scheduler-1"}


def test_a_run_that_waits_says_for_what(lab: Lab, cluster: Cluster):
    """Two runs at once: one holds the only place, and its task waits for a pool that somebody has closed."""
    pool, mask = "pools/default_pool", {"update_mask": "slots"}
    slots = cluster.api.call("GET", pool)["slots"]
    cluster.api.call("PATCH", pool, json={"slots": 0}, params=mask)
    update = lab.update()
    runs = [update.run_id, cluster.api.trigger(update.dag)]
    try:
        wanted = "collect waits for a slot of the pool default_pool (0 of 0 taken)"
        said = until(
            "a line on each of them",
            lambda: said if (said := cluster("status").stdout).count(wanted) == 2 else None,
            120,
        )
        waits = rf"    waits for run {re.escape(runs[0])} to end, \d+ s so far; there: collect"
        assert re.search(waits, said)
    finally:
        for run in reversed(runs):
            path = f"dags/{update.dag}/dagRuns/{run}"
            cluster.api.call("PATCH", path, json={"state": "failed"})
        cluster.api.call("PATCH", pool, json={"slots": slots}, params=mask)


def test_status_says_what_works(cluster: Cluster):
    said = cluster("status").stdout
    assert said.count("(healthy)") == 9
    assert said.count("worker: waits for tasks: 0 of 2 slots taken") == 2
    assert "0 tasks waiting" in said


def test_what_does_not_come_up_is_shown_with_its_own_last_words(current: Cluster):
    """A byte of Redis' log is damaged; docs/operate/reliability.md has the repair."""
    (redis,) = current.containers("redis")
    image = f"corpus-redis:{current.place.settings()['CORPUS_IMAGE_TAG']}"
    inside = ("run", "--rm", "-i", "--volumes-from", redis.name, "--entrypoint")
    damage = "printf x | dd of=/data/appendonlydir/appendonly.aof.1.incr.aof bs=1 conv=notrunc"
    said = "Bad file format reading the append only file"
    repair = ("redis-check-aof", image, "--fix", "/data/appendonlydir/appendonly.aof.manifest")
    docker("stop", redis.id)
    docker(*inside, "sh", image, "-c", damage)
    try:
        refused = current("up")
        shown = current("status").stdout
    finally:
        docker("stop", redis.id)
        docker(*inside, *repair, input="y\n")
        current.up()
    assert refused.returncode == 1
    assert re.search(r"Not well after \d+ s: .*redis.*\. The last that they said:", refused.stderr)
    assert said in refused.stderr
    assert "redis-check-aof --fix" in refused.stderr
    assert said in shown
    assert current("status").stdout.count("(healthy)") == 9


def test_a_taken_port_is_told_before_anything_starts(cluster: Cluster, tmp_path: Path):
    other = Cluster(Place(tmp_path))
    samples = tmp_path / "samples"
    samples.mkdir()
    port = cluster.place.settings()["CORPUS_API_PORT"]
    project = f"{cluster.compose.project}-other"
    refused = other("up", "--project", project, "--port", port, "--samples", str(samples))
    assert refused.returncode == 1
    holder = f"{cluster.compose.project}-api-server-1"
    assert f"Port {port} of 127.0.0.1 is held by the container {holder}." in refused.stderr
    assert not docker("ps", "--all", "--quiet", "--filter", f"name=^{project}-").strip()
    assert not docker("network", "ls", "--quiet", "--filter", f"name=^{project}_").strip()


def test_logs_are_read_when_their_worker_is_gone(cluster: Cluster, undisturbed: Update):
    tasks = [task for task in undisturbed.tasks() if task["state"] == "success"]
    assert cluster("scale", "1").returncode == 0
    (left,) = cluster.containers("worker")
    gone = [task for task in tasks if task["hostname"] != left.id[:12]]
    logs = [undisturbed.log(task) for task in gone]
    assert cluster("scale", "2").returncode == 0
    assert logs
    assert all(any("corpus " in line for line in log) for log in logs)


def test_down_and_up_keep_everything(cluster: Cluster, undisturbed: Update):
    secrets = {file: file.read_text() for file in secret_files(cluster)}
    runs = {run["dag_run_id"] for run in cluster.api.runs(100)}
    down = cluster("down")
    assert down.returncode == 0, down.stderr
    assert "The data stays" in down.stdout
    assert not docker(
        "ps", "--all", "--quiet", "--filter", f"name=^{cluster.compose.project}-"
    ).strip()
    cluster.up()
    assert {file: file.read_text() for file in secret_files(cluster)} == secrets
    assert {run["dag_run_id"] for run in cluster.api.runs(100)} == runs
    assert digest(undisturbed.root)


def test_anothers_project_is_left_alone(cluster: Cluster, tmp_path: Path):
    other = Cluster(Place(tmp_path))
    samples = tmp_path / "samples"
    samples.mkdir()
    before = starts(cluster)
    refused = other("up", "--project", cluster.compose.project, "--samples", str(samples))
    assert refused.returncode == 1
    assert str(cluster.place.folder) in refused.stderr
    assert starts(cluster) == before


def test_commands_say_that_there_is_no_cluster(tmp_path: Path):
    none = Cluster(Place(tmp_path))
    assert "`make cluster-up` makes one" in none("status").stderr
    assert none("down").stdout == "There is no cluster in this work folder.\n"
