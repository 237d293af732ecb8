"""What is removed, and what is kept."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

import corpus.contract.run_identity
from operators.reaper.airflow_api import TaskKey
from tests.system.cluster.reaper.airflow_server import DAG, MAPPED
from tests.system.cluster.reaper.world import World, passes


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
    lost[1] = replace(lost[1], run_uuid=corpus.contract.run_identity.run_uuid(DAG, lost[1].run_id))
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


def test_a_container_that_does_not_obey_is_removed_within_seconds(world: World) -> None:
    task = world.task(22)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    container = world.run(task, command="trap '' TERM; while true; do sleep 1; done")
    paused = world.run(task)
    world.client.pause(paused)

    passes(world.reaper())

    assert not world.has(container)
    assert not world.has(paused)
