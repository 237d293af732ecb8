"""The reaper with a real engine and a real Airflow API."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient
from docker.errors import DockerException, NotFound

import corpus.runs
from corpus.errors import PassingFault
from corpus.settings import Settings
from operators.containers import images, scratch
from operators.containers.airflow_api import TaskKey
from operators.containers.labels import SCRATCH, STEP, TaskTry
from operators.containers.reaper import Reaper
from operators.containers.report import Counts, Report
from operators.containers.scratch import Scratch
from tests.cluster import tiny_image
from tests.cluster.airflow_server import DAG, MAPPED, REPO, AirflowServer

HOST = f"test-{uuid.uuid4().hex[:8]}"
USER = (50000, 50000)


@pytest.fixture(scope="session")
def docker_client() -> Iterator[APIClient]:
    try:
        client = APIClient(base_url="unix:///var/run/docker.sock", version="auto")
    except DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def tiny(docker_client: APIClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    try:
        return tiny_image.make(docker_client, tmp_path_factory.mktemp("tiny"))
    except OSError as error:
        pytest.skip(f"the image for tests cannot be made: {error}")


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    server = AirflowServer(tmp_path_factory.mktemp("airflow") / "home")
    server.start()
    yield server
    server.stop()


class World:
    """One host as the reaper sees it: a scratch folder, and containers on the engine."""

    def __init__(
        self, airflow: AirflowServer, client: APIClient, image: str, root: Path, host: str = HOST
    ) -> None:
        self.airflow = airflow
        self.client = client
        self.image = image
        self.root = root
        self.host = host
        self.made: list[str] = []
        root.mkdir()

    def settings(self, **reaper: object) -> Settings:
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
            corpus.runs.run_uuid(DAG, run),
            str(uuid.uuid4()),
            generation,
            self.host,
        )

    def claim(self, task: TaskTry) -> Path:
        """The task's scratch folder, as its try leaves it when it is killed."""
        place = Scratch(self.root, task, USER)
        place.claim()
        file = place.folder("run") / "result.json"
        file.write_text("{}")
        if os.geteuid() == 0:
            os.chown(file, *USER)
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


@pytest.fixture
def world(
    airflow: AirflowServer, docker_client: APIClient, tiny: str, tmp_path: Path
) -> Iterator[World]:
    place = World(airflow, docker_client, tiny, tmp_path / "scratch")
    yield place
    place.tidy()


def passes(reaper: Reaper, count: int = 2) -> Counts:
    for _ in range(count):
        counts = reaper.look()
    return counts


@pytest.mark.parametrize("state", ["failed", "success", "removed"])
def test_what_an_ended_task_left_is_removed(
    world: World, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    task = world.task(0)
    world.airflow.set(TaskKey.of(task), state, 1, 3)
    folder, running = world.claim(task), world.run(task)
    exited = world.run(task, command="true")
    world.client.wait(exited)

    counts = passes(world.reaper())

    assert not world.has(running)
    assert not world.has(exited)
    assert list(world.root.iterdir()) == []
    assert (counts.removed_containers, counts.removed_folders, counts.failed) == (2, 1, 0)
    said = capsys.readouterr().out
    assert f"container {running[:12]}" in said
    assert f"{DAG} {task.run_id} mapped[0] try 1: the task is {state}." in said
    assert f"scratch folder {folder.name}" in said


@pytest.mark.parametrize(
    "state",
    ["queued", "scheduled", "running", "deferred", "up_for_retry", "restarting", None],
)
def test_what_a_live_task_has_is_kept(world: World, state: str | None) -> None:
    task = world.task(1)
    world.airflow.set(TaskKey.of(task), state, 1, 3)
    folder, container = world.claim(task), world.run(task)

    counts = passes(world.reaper(), 3)

    assert world.has(container)
    assert (folder / "run" / "result.json").is_file()
    assert counts.suspects == 0


def test_a_task_and_a_run_that_airflow_does_not_have(world: World) -> None:
    lost = [world.task(MAPPED + 5), replace(world.task(0), run_id="manual__deleted")]
    lost[1] = replace(lost[1], run_uuid=corpus.runs.run_uuid(DAG, lost[1].run_id))
    for task in lost:
        world.claim(task)
        world.run(task)

    counts = passes(world.reaper())

    assert (counts.removed_containers, counts.removed_folders) == (2, 2)


def test_one_that_a_later_try_took_over_here_is_kept(world: World) -> None:
    first = world.task(2)
    world.claim(first)
    container = world.run(first)
    folder = world.claim(replace(first, try_number=2, task_instance_id=str(uuid.uuid4())))
    world.airflow.set(TaskKey.of(first), "running", 2, 3)

    assert passes(world.reaper()).suspects == 0

    assert world.has(container)
    assert folder.is_dir()


def test_one_whose_task_runs_elsewhere_is_removed_only_once_it_runs(world: World) -> None:
    task = world.task(3)
    folder, container = world.claim(task), world.run(task)
    reaper = world.reaper()
    for state, try_number in (("running", 1), ("up_for_retry", 1), ("queued", 2)):
        world.airflow.set(TaskKey.of(task), state, try_number, 3)
        passes(reaper)
        assert world.has(container)

    world.airflow.set(TaskKey.of(task), "running", 2, 3)
    counts = passes(reaper)

    assert not world.has(container)
    assert not folder.exists()
    assert counts.removed_containers == 1


def test_what_was_left_before_a_clear_is_removed(world: World) -> None:
    task = world.task(4, generation=3)
    folder, container = world.claim(task), world.run(task)
    world.airflow.set(TaskKey.of(task), "scheduled", 2, 5)

    passes(world.reaper())

    assert not world.has(container)
    assert not folder.exists()


def test_nothing_goes_before_the_second_look_nor_before_the_grace_is_over(world: World) -> None:
    task = world.task(5)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    folder, container = world.claim(task), world.run(task)

    assert passes(world.reaper(), 1).suspects == 2
    assert passes(world.reaper(grace=3600), 3).suspects == 2

    assert world.has(container)
    assert folder.is_dir()


def test_a_suspect_that_is_live_again_begins_anew(world: World) -> None:
    task = world.task(6)
    container = world.run(task)
    reaper = world.reaper()
    for state in ("failed", "running", "failed"):
        world.airflow.set(TaskKey.of(task), state, 1, 3)
        reaper.look()
        assert world.has(container)

    reaper.look()

    assert not world.has(container)


def test_nothing_is_removed_while_airflow_does_not_answer(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    task = world.task(7)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    folder, container = world.claim(task), world.run(task)
    reaper = world.reaper()
    reaper.look()
    world.airflow.stop()
    try:
        for _ in range(2):
            with pytest.raises(PassingFault, match="cannot be asked"):
                reaper.look()
        assert world.has(container)
        assert folder.is_dir()
        # Tokens of before a change of the secret are refused; the reaper fetches another.
        world.airflow.secret = "only-for-another-test-" * 3
    finally:
        world.airflow.start()

    reaper.look()

    assert not world.has(container)
    assert not folder.exists()


def test_nothing_is_removed_by_a_user_who_may_not_see_the_tasks(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = world.task(8)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    container = world.run(task)
    password = tmp_path / "password"
    password.write_text("n-secret")
    reaper = world.reaper(api_user="nobody", api_password_file=str(password))

    counts = passes(reaper)

    assert world.has(container)
    assert counts.unknown == 1
    assert capsys.readouterr().out.count("the role Viewer") == 1


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("api_password_file", "/nonexistent", "cannot be read"),
        ("api_user", "reader2", "no token: status 401"),
        ("api_url", "http://127.0.0.1:9", "cannot be asked"),
        ("api_url", "{url}/elsewhere", "no token: status 4"),
    ],
)
def test_a_wrong_setting_removes_nothing(world: World, setting: str, value: str, says: str) -> None:
    task = world.task(9)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    container = world.run(task)
    environment = {
        **os.environ,
        "CORPUS_DOCKER__SCRATCH": str(world.root),
        "CORPUS_DOCKER__HOST": world.host,
        "CORPUS_REAPER__IMAGES_DAYS": "0",
        "CORPUS_REAPER__API_URL": world.airflow.url,
        "CORPUS_REAPER__API_USER": "reader",
        "CORPUS_REAPER__API_PASSWORD_FILE": str(world.airflow.password_file),
        f"CORPUS_REAPER__{setting.upper()}": value.format(url=world.airflow.url),
    }

    done = command(environment, "--once", "--grace", "0")

    assert done.returncode in (2, 75), done.stdout + done.stderr
    assert says in done.stderr
    assert world.has(container)


def test_a_wrong_password_is_found_before_there_is_anything_to_ask(
    world: World, tmp_path: Path
) -> None:
    (password := tmp_path / "password").write_text("guess")

    with pytest.raises(PassingFault, match="no token: status 401"):
        world.reaper(api_password_file=str(password)).look()


def test_containers_of_others_are_left_alone(
    world: World, airflow: AirflowServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = world.task(10)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    elsewhere = World(airflow, world.client, world.image, tmp_path / "other")
    folder = elsewhere.claim(task)
    kept = [
        # A part of the cluster itself, and what somebody else made up.
        world.run(labels={"corpus.step": "run", "corpus.code": "1"}),
        world.run(labels={"corpus.task_id": "mapped"}),
        world.run(labels=task.labels()),
        world.run(replace(task, run_uuid="../../etc")),
        world.run(replace(task, run_id="~")),
        world.run(replace(task, dag_id="a/b")),
        world.run(task, labels={"corpus.map_index": "first"}),
        # Of another cluster, whose run has the same name: scheduled runs often do.
        elsewhere.run(task),
    ]

    counts = passes(world.reaper())

    assert all(world.has(container) for container in kept)
    assert folder.is_dir()
    assert counts.removed_containers == 0
    assert counts.unknown == 4
    said = capsys.readouterr().out
    assert said.count(f"Left alone what works in {elsewhere.root}") == 1
    assert said.count("its labels name no task") == 4
    elsewhere.tidy()


def test_folders_that_are_not_ours_are_left_alone(world: World, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "owner.json").write_text(json.dumps(world.task(11).labels()))
    task = world.task(11)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    folder = world.claim(task)
    precious = outside / "precious"
    precious.write_text("x")
    (folder / "slice").symlink_to(outside)
    (world.root / "notes").mkdir()
    (world.root / scratch.key(world.task(12))).symlink_to(outside)
    renamed = world.claim(world.task(13)).rename(world.root / "renamed")
    world.airflow.set(TaskKey.of(world.task(13)), "failed", 1, 3)

    passes(world.reaper())

    assert not folder.exists()
    assert precious.read_text() == "x"
    assert renamed.is_dir()
    assert len(list(world.root.iterdir())) == 3


def test_what_killed_processes_left_half_done_goes_after_a_day(world: World) -> None:
    withdrawn = world.root / f"{scratch.WITHDRAWN}{uuid.uuid4()}-1"
    fresh, old = world.root / str(uuid.uuid4()), world.root / str(uuid.uuid4())
    for folder in (withdrawn, fresh, old):
        folder.mkdir()
        (folder / "file").write_text("x")
    os.utime(old, (time.time() - 90_000,) * 2)

    counts = passes(world.reaper())

    assert [path.name for path in world.root.iterdir()] == [fresh.name]
    assert counts.removed_folders == 2


def test_a_folder_that_a_try_claims_meanwhile_is_kept(world: World) -> None:
    task = world.task(14)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    folder = world.claim(task)
    before = scratch.read_owner(folder)
    world.claim(replace(task, try_number=2, task_instance_id=str(uuid.uuid4())))

    assert scratch.withdraw(folder, before) is None
    assert (folder / "run").is_dir()


def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    task = world.task(15)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    folder, container = world.claim(task), world.run(task)
    (crumb := world.root / f"{scratch.WITHDRAWN}x").mkdir()

    world.reaper(dry_run=True, grace=3600).once()

    said = capsys.readouterr().out
    assert said.count("would remove container") == 1
    assert said.count("would remove scratch folder") == 2
    assert world.has(container)
    assert folder.is_dir()
    assert crumb.is_dir()


def test_two_reapers_and_one_who_was_faster(world: World) -> None:
    tasks = [world.task(index) for index in range(16, 22)]
    for task in tasks:
        world.airflow.set(TaskKey.of(task), "failed", 1, 3)
        world.claim(task)
        world.run(task)
    others = [
        subprocess.Popen(
            [sys.executable, "-m", "operators.containers.reaper", "--once", "--grace", "0"],
            env=environment(world),
            cwd=REPO,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = "".join(process.communicate()[0] for process in others)

    assert [process.returncode for process in others] == [0, 0], said
    assert not any(map(world.has, world.made))
    assert list(world.root.iterdir()) == []
    assert said.count("removed scratch folder") == 6


def test_a_container_that_does_not_obey_is_removed_within_seconds(world: World) -> None:
    task = world.task(22)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    container = world.run(task, command="trap '' TERM; while true; do sleep 1; done")
    paused = world.run(task)
    world.client.pause(paused)

    passes(world.reaper())

    assert not world.has(container)
    assert not world.has(paused)


def test_it_runs_says_so_and_ends_at_once(world: World) -> None:
    task = world.task(23)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    folder, container = world.claim(task), world.run(task)
    here = environment(world) | {
        "CORPUS_REAPER__INTERVAL_S": "0.5",
        "CORPUS_REAPER__GRACE_S": "0",
    }
    assert command(here, "--health").returncode == 1
    process = subprocess.Popen(
        [sys.executable, "-m", "operators.containers.reaper", "--json"],
        env=here,
        cwd=REPO,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said: list[dict[str, Any]] = []
    while sum(line["action"] == "removed" for line in said) < 2:
        said.append(json.loads(process.stdout.readline()))
    removed = {line["what"]: line for line in said if line["action"] == "removed"}
    assert removed["container"]["name"].startswith(container[:12])
    assert removed["scratch folder"]["name"] == folder.name
    assert removed["scratch folder"]["run_uuid"] == task.run_uuid
    while "pass" not in said[-1]["action"]:
        said.append(json.loads(process.stdout.readline()))
    assert command(here, "--health").returncode == 0

    process.send_signal(signal.SIGTERM)

    assert process.wait(10) == 0
    old = next(world.root.glob(".reaper-*"))
    os.utime(old, (time.time() - 3600,) * 2)
    assert command(here, "--health").returncode == 1


def test_an_engine_that_is_away_removes_nothing(world: World, tmp_path: Path) -> None:
    task = world.task(24)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    folder = world.claim(task)
    here = environment(world) | {"CORPUS_DOCKER__URL": f"unix://{tmp_path}/no.sock"}

    done = command(here, "--once", "--grace", "0")

    assert done.returncode == 75
    assert "does not answer" in done.stderr
    assert folder.is_dir()


# Images


def load_image(client: APIClient, name: str, title: str, created: str, content: str) -> str:
    """An image with a date of its own, by the engine's own format; its id."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        file = tarfile.TarInfo("content")
        file.size = len(content)
        archive.addfile(file, io.BytesIO(content.encode()))
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": created,
            "config": {"Labels": {images.TITLE: title}, "Cmd": ["true"]},
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"],
            },
        }
    ).encode()
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    files = {
        "config.json": config,
        "layer.tar": layer.getvalue(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    list(client.load_image(whole.getvalue()))
    return f"sha256:{hashlib.sha256(config).hexdigest()}"


def test_old_images_of_ours_that_nothing_uses(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A name that no one else has on this engine.
    ours = f"corpus-{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(images, "NAMES", frozenset({ours}))
    client = world.client
    made: dict[str, str] = {}

    def load(key: str, name: str, title: str = ours, year: int = 2020) -> None:
        made[key] = load_image(client, name, title, f"{year}-01-01T00:00:00Z", key)

    try:
        load("oldest", f"{ours}:1", year=2019)
        load("older", f"{ours}:2", year=2020)
        load("used", f"{ours}:3", year=2018)
        load("configured", f"registry.example:5000/team/{ours}:4", year=2017)
        load("second", f"{ours}:5", year=2021)
        load("newest", f"{ours}:6", year=2022)
        load("built-on-ours", f"team-{ours}:1", year=2016)
        load("of-another-name", f"{ours}-x:1", title=f"{ours}-x", year=2016)
        load("tagged-lately", f"{ours}:7", year=2015)
        client.tag(made["tagged-lately"], ours, "8")
        container = client.create_container(made["used"], ["true"])["Id"]
        world.made.append(container)
        settings = Settings.load(
            {
                "docker": {
                    "scratch": str(world.root),
                    "extractor_image": f"registry.example:5000/team/{ours}:4",
                },
                "reaper": {"images_kept": 3, "images_days": 30},
            }
        )
        engine = world.reaper()._sweep.engine

        def remaining() -> set[str]:
            there = {image["Id"] for image in client.images()}
            return {key for key, image in made.items() if image in there}

        dry = images.OldImages(settings, engine, Report(dry_run=True), True)
        assert dry.remove() == 2
        assert remaining() == set(made)

        removed = images.OldImages(settings, engine, Report(), False).remove()

        assert remaining() == set(made) - {"oldest", "older"}
        assert removed == 2
        assert f"removed image {ours}:1: nothing has used it" in capsys.readouterr().out
    finally:
        world.tidy()
        for image in made.values():
            try:
                client.remove_image(image, force=True)
            except NotFound:
                continue


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
        [sys.executable, "-m", "operators.containers.reaper", *arguments],
        env=environment,
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=120,
    )
