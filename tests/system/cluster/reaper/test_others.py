"""What is not of a task of this cluster is left alone."""

from __future__ import annotations

import json
import os
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from operators.containers import scratch
from operators.reaper.airflow_api import TaskKey
from tests.system.cluster.reaper.airflow_server import AirflowServer
from tests.system.cluster.reaper.world import World, passes


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
    assert said.count(f"Left alone containers that work in {elsewhere.root}:") == 1
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
    (folder / "workspace").symlink_to(outside)
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
