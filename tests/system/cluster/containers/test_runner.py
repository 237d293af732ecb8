"""Services by the Docker runner: the same corpus as by processes, and what each step may see."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import corpus.contract.run_identity
from bench.common.executables import launchers, write_variants
from corpus.contract.registry import SERVICES
from corpus.errors import BadInputError, BadSettingError, PassingFaultError
from corpus.settings import Settings
from corpus.store.object_store import Store
from corpus.store.snapshots import Snapshot
from operators import ImportVerdictsOperator
from operators.containers.scratch import CORPUS_USER, Scratch
from operators.runners.command import Call
from operators.runners.docker import DockerRunner
from operators.runners.process import ProcessRunner
from operators.runners.runner import Runner, get_runner
from operators.settings import WorkerSettings
from tests.support.airflow_home import REPO
from tests.support.archive_files import tar_of, zip_of
from tests.system.cluster.containers.world import World, wait_for

UPDATE = "20260101T000000-aaaaaaaa"
IDENTITY = {
    "run_uuid": corpus.contract.run_identity.run_uuid("d", "r"),
    "dag_id": "d",
    "run_id": "r",
}


def call(service: str, **options: Any) -> Call:
    return Call(service, {"update": UPDATE, **options}, identity=IDENTITY)


def run(runner: Runner, asked: Call, work: Path) -> tuple[int, dict[str, Any], list[str]]:
    """The exit status, result and output of a call."""
    result, seen = work / "result.json", list[str]()
    result.unlink(missing_ok=True)
    status = runner.run(asked, result=result, on_line=seen.append)
    return status, json.loads(result.read_text()), seen


def docker_runner(world: World) -> DockerRunner:
    return DockerRunner(
        Settings.load(),
        WorkerSettings.load().docker,
        world.retry(generation=world.task.generation + 1),
    )


@pytest.fixture
def samples(world: World) -> World:
    write_variants(world.samples, 6, seed=1)
    (world.samples / "note.txt").write_text("no executable")
    return world


@pytest.mark.timeout(600)
def test_an_update_in_containers_makes_the_same_corpus_as_one_in_processes(
    samples: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = samples
    for service in SERVICES:
        status, result, _ = run(docker_runner(world), call(service), world.work)
        assert status == 0, (service, result)
        assert world.nothing_left(), service
    manifest = Snapshot.open(Store(world.corpus)).manifest
    monkeypatch.setenv("CORPUS_STORE__ROOT", str(world.work / "other"))
    for service in SERVICES:
        status, result, _ = run(ProcessRunner(), call(service), world.work)
        assert status == 0, (service, result)
    other = Snapshot.open(Store(world.work / "other")).manifest
    assert manifest["content_digest"] == other["content_digest"]
    assert manifest["counts"]["samples"] == 6

    digests = {
        name: world.client.inspect_image(name)["Id"] for name in (world.image, world.extractor)
    }
    services = [{"name": world.image, "digest": digests[world.image]}]
    sandbox = [{"name": world.extractor, "digest": digests[world.extractor]}]
    assert manifest["images"]["label"] == services
    assert manifest["images"]["extract"] == sorted(
        services + sandbox, key=lambda told: told["name"]
    )
    assert other["images"] == {}


def test_what_reads_hostile_bytes_sees_its_workspace_and_no_more(samples: World) -> None:
    world = samples
    secrets = world.work / "secrets"
    secrets.mkdir()
    (secrets / "s3.toml").write_text('[store.options]\nkey = "planted-key"\n')
    docker = WorkerSettings.load({"docker": {"secrets": str(secrets)}}).docker
    found: dict[str, dict[str, Any]] = {}

    def look(line: str) -> None:
        for container in world.live():
            step = container["Labels"]["corpus.step"]
            found[step] = world.client.inspect_container(container["Id"])

    run(docker_runner(world), call("collect"), world.work)
    runner = DockerRunner(Settings.load(), docker, world.retry())
    assert runner.run(call("ingest"), result=world.work / "result.json", on_line=look) == 0
    assert list(found) == ["stage-in", "run", "stage-out"]
    folder = Scratch(world.scratch, world.task, CORPUS_USER).path

    def seen(step: str) -> dict[str, tuple[str, bool]]:
        mounts = found[step]["Mounts"]
        return {mount["Destination"]: (mount["Source"], mount["RW"]) for mount in mounts}

    assert seen("run") == {
        "/workspace": (f"{folder}/workspace", True),
        "/spool": (f"{folder}/spool", True),
        "/results": (f"{folder}/run", True),
        "/etc/corpus-airflow/corpus.toml": (f"{folder}/sandbox.toml", False),
    }
    trusted = {
        "/etc/corpus-airflow/corpus.toml": (f"{folder}/settings.toml", False),
        "/etc/corpus-airflow/conf.d": (str(secrets), False),
        str(world.corpus): (str(world.corpus), True),
        str(world.samples): (str(world.samples), False),
    }
    assert seen("stage-in") == {
        **trusted,
        "/workspace": (f"{folder}/workspace", True),
        "/results": (f"{folder}/stage-in", True),
    }
    assert seen("stage-out") == {
        **trusted,
        "/workspace": (f"{folder}/workspace", False),
        "/results": (f"{folder}/stage-out", True),
    }
    networks = {step: container["HostConfig"]["NetworkMode"] for step, container in found.items()}
    # Where the samples of an update are, only its `collect` was told.
    assert networks == {"stage-in": "bridge", "run": "none", "stage-out": "none"}
    images = {step: container["Image"] for step, container in found.items()}
    assert images["run"] == world.client.inspect_image(world.extractor)["Id"]
    assert (
        images["stage-in"] == images["stage-out"] == world.client.inspect_image(world.image)["Id"]
    )
    assert "planted-key" not in json.dumps(found)


@pytest.mark.timeout(300)
def test_an_archive_larger_than_tmp_is_ingested(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive in an archive is unpacked to a temporary file, beyond 32 MB on the disk."""
    monkeypatch.setenv("CORPUS_DOCKER__TMPFS_BYTES", str(2**20))
    noise = random.Random(1).randbytes(40 << 20)
    inner = zip_of({"noise": noise, "launcher.exe": launchers()[0]})
    (world.samples / "outer.tar").write_bytes(tar_of({"inner.zip": inner}))
    run(docker_runner(world), call("collect"), world.work)
    status, result, seen = run(docker_runner(world), call("ingest"), world.work)
    assert status == 0, (result, seen)
    assert result["report"]["samples"] == 1
    assert result["report"]["rejects"] == {}
    assert world.nothing_left()


def killed_in_sandbox(world: World) -> None:
    """A first try of ingest whose worker is killed once the sandbox has begun."""
    run(docker_runner(world), call("collect"), world.work)
    world.retry(generation=world.task.generation + 1)
    script = f"""
import os, sys
from dataclasses import asdict
from pathlib import Path
from corpus.settings import Settings
from operators.runners.command import Call
from operators.task_try import TaskTry
from operators.runners.docker import DockerRunner
from operators.settings import WorkerSettings
def on_line(line):
    print(line, flush=True)
    if line.startswith("shard-0000: files"):
        os.kill(os.getpid(), 9)
task = TaskTry.from_dict({world.task.__dict__!r})
DockerRunner(Settings.load(), WorkerSettings.load().docker, task).run(
    Call("ingest", {{"update": {UPDATE!r}}}), result=Path("unused"), on_line=on_line)
"""
    killed = subprocess.run([sys.executable, "-c", script], cwd=REPO, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(os.listdir(world.scratch)) == 1


def test_steps_that_were_done_are_not_done_again(samples: World) -> None:
    world = samples
    killed_in_sandbox(world)
    runner = DockerRunner(Settings.load(), WorkerSettings.load().docker, world.retry())
    status, result, seen = run(runner, call("ingest"), world.work)
    assert status == 0, result
    assert seen[0] == "Step 'stage-in' was done by an earlier attempt."
    assert result["report"]["samples"] == 6
    assert world.nothing_left()


def test_a_task_that_another_image_began_is_begun_anew(
    samples: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker comes back upgraded: what the corpus is told of images is what really ran."""
    world = samples
    name = f"corpus-test-upgraded:{os.getpid()}"
    world.client.tag(world.extractor, *name.split(":"))
    monkeypatch.setenv("CORPUS_DOCKER__EXTRACTOR_IMAGE", name)
    try:
        killed_in_sandbox(world)
        build = ["docker", "build", "-q", "-t", name, "-"]
        upgraded = f"FROM {world.extractor}\nLABEL upgraded=yes\n"
        subprocess.run(build, input=upgraded.encode(), check=True)
        runner = DockerRunner(Settings.load(), WorkerSettings.load().docker, world.retry())
        status, result, seen = run(runner, call("ingest"), world.work)
    finally:
        world.client.remove_image(name, force=True)
    assert status == 0, result
    assert "Step 'stage-in' was done by an earlier attempt." not in seen
    made = [(labels["corpus.step"], labels["corpus.try_number"]) for labels in world.created()]
    assert made[-3:] == [
        (step, str(world.task.try_number)) for step in ("stage-in", "run", "stage-out")
    ]
    assert world.nothing_left()


@pytest.fixture
def stand_in(world: World) -> Iterator[Callable[[str], str]]:
    """Makes images in which another script stands where `corpus` would."""
    made: list[str] = []

    def make(script: str) -> str:
        name = f"corpus-test-stand-in:{os.getpid()}-{len(made)}"
        dockerfile = (
            f"FROM {world.image}\nUSER 0\n"
            f"RUN printf '#!/bin/sh\\n{script}\\n' > /usr/local/bin/corpus\n"
            "RUN chmod 755 /usr/local/bin/corpus\nENV PATH=/usr/local/bin:/opt/corpus/bin:/bin:/usr/bin\nUSER 50000\n"
        )
        build = ["docker", "build", "-q", "-t", name, "-"]
        subprocess.run(build, input=dockerfile.encode(), check=True)
        made.append(name)
        return name

    yield make
    for name in made:
        world.client.remove_image(name)


def test_a_sandbox_cannot_have_its_task_skipped(
    samples: World, stand_in: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 3 says that there was nothing new, which *stage-in* knows better."""
    world = samples
    run(docker_runner(world), call("collect"), world.work)
    monkeypatch.setenv("CORPUS_DOCKER__EXTRACTOR_IMAGE", stand_in("exit 3"))
    with pytest.raises(PassingFaultError, match="nothing to do"):
        run(docker_runner(world), call("ingest"), world.work)
    assert world.nothing_left()


@pytest.mark.parametrize(
    "script",
    ["ln -s /etc/hostname /results/result.json", "mkfifo /results/result.json", "exit 0"],
    ids=["a link", "a pipe", "nothing"],
)
def test_a_result_that_is_no_file_is_none(
    world: World, script: str, stand_in: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORPUS_DOCKER__SERVICES_IMAGE", stand_in(script))
    result = world.work / "result.json"
    assert docker_runner(world).run(call("label"), result=result, on_line=print) == 0
    assert not result.exists()
    assert world.nothing_left()


def test_a_folder_that_the_container_locked_is_removed_all_the_same(
    world: World, stand_in: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "cd /results; mkdir -p a/b; chmod 0 a/b a"
    monkeypatch.setenv("CORPUS_DOCKER__SERVICES_IMAGE", stand_in(script))
    docker_runner(world).run(call("label"), result=world.work / "r", on_line=print)
    assert world.nothing_left()


def test_too_little_memory_says_which_setting(
    world: World, stand_in: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORPUS_DOCKER__MEMORY_BYTES", str(64 * 2**20))
    image = stand_in('exec python -c "bytes(1) * 2 ** 28"')
    monkeypatch.setenv("CORPUS_DOCKER__SERVICES_IMAGE", image)
    with pytest.raises(PassingFaultError, match="needed more memory") as caught:
        docker_runner(world).run(call("label"), result=world.work / "r", on_line=print)
    assert "docker.memory_bytes" in str(caught.value.hint)
    assert world.nothing_left()


def test_a_service_whose_child_lacked_memory_tells_what_came_of_it(
    world: World, stand_in: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORPUS_DOCKER__MEMORY_BYTES", str(64 * 2**20))
    image = stand_in('python -c "bytes(1) * 2 ** 28"; echo {} > /results/result.json; exit 2')
    monkeypatch.setenv("CORPUS_DOCKER__SERVICES_IMAGE", image)
    status, result, _ = run(docker_runner(world), call("label"), world.work)
    assert (status, result) == (2, {})
    assert world.nothing_left()


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (replace(call("label"), root="/elsewhere"), "/elsewhere is not a folder"),
        (call("collect", sources=["/elsewhere"]), "/elsewhere is not a folder"),
        (replace(call("label"), root="here"), "here: is not an absolute path"),
        (call("collect", sources=["/samples/../etc"]), "/samples/../etc: a place with"),
        (replace(call("label"), overrides={"docker.binds": '["/"]'}), "docker.binds"),
        (replace(call("label"), overrides={"store.options": "{}"}), "store.options"),
        (replace(call("label"), overrides={"runner": "process"}), "runner"),
    ],
)
def test_a_run_cannot_widen_what_containers_see(world: World, asked: Call, field: str) -> None:
    with pytest.raises(BadInputError, match=field):
        run(docker_runner(world), asked, world.work)
    assert world.nothing_left()


def test_folders_that_are_visible_are_told(world: World) -> None:
    with pytest.raises(BadInputError) as caught:
        run(docker_runner(world), call("collect", sources=["/elsewhere"]), world.work)
    assert f"They see {world.corpus}, {world.samples}" in str(caught.value.hint)


def test_a_scratch_folder_that_is_not_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORPUS_DOCKER__SCRATCH", "/no/such/scratch")
    with pytest.raises(BadSettingError, match=r"docker\.scratch"):
        run(docker_runner(world), call("label"), world.work)


def test_a_container_never_runs_as_root(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORPUS_DOCKER__USER", "0:0")
    with pytest.raises(BadSettingError, match="no container runs as root"):
        run(docker_runner(world), call("label"), world.work)


def test_the_setting_chooses_the_runner(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(get_runner(WorkerSettings.load(), world.task), DockerRunner)
    monkeypatch.setenv("CORPUS_RUNNER", "process")
    assert isinstance(get_runner(WorkerSettings.load(), world.task), ProcessRunner)


TASK = """
import sys
from tests.support import airflow_home
from airflow.sdk import DAG
from operators import ImportVerdictsOperator
with DAG(sys.argv[1]) as dag:
    ImportVerdictsOperator(task_id="task", urls=sys.argv[2])
ti = airflow_home.run_dag(dag).get_task_instance("task")
print("state", ti.state)
"""


@pytest.mark.airflow
def test_a_task_that_airflow_ends_leaves_nothing(world: World, silence: str) -> None:
    """TERM is what Airflow sends when a task is marked failed or cleared: it calls `on_kill`."""
    task = subprocess.Popen(
        [sys.executable, "-c", TASK, world.task.dag_id, silence],
        cwd=REPO,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert wait_for(lambda: [c for c in world.live() if c["State"] == "running"])
    task.send_signal(signal.SIGTERM)
    out, _ = task.communicate(timeout=60)
    assert out.splitlines()[-1] == "state failed"
    assert world.nothing_left()


@pytest.mark.airflow
def test_a_task_beyond_its_time_leaves_nothing(world: World, silence: str) -> None:
    limit = timedelta(seconds=5)
    ti = world.run(ImportVerdictsOperator, urls=silence, execution_timeout=limit)
    assert ti.state == "failed"
    assert world.nothing_left()
