"""Workers and tasks that end in the middle of an update: it heals by itself, with the same content."""

from __future__ import annotations

import pytest

from tests.system.cluster.harness import Lab, Update
from tests.system.cluster.harness_faults import (
    go_on,
    kill_container,
    main_process,
    measured,
    processes,
    signal,
    worker_of,
)
from tests.system.cluster.harness_wait import until

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def update(lab: Lab, undisturbed: Update) -> Update:
    return lab.update()


def test_a_worker_is_killed(lab: Lab, update: Update, expected: str):
    container = update.held("extract")
    worker = worker_of(update, container.task)
    with measured(update, "kill -9 of a worker's container", expected):
        kill_container(worker.id)
        go_on(container.id)
    # The next try went on with what the killed worker had started, and nothing was begun twice.
    task = update.task(container.task)
    assert task["try_number"] == 2
    runs = [one for one in update.containers() if one.task == container.task]
    assert len(runs) == len({one.step for one in runs})
    assert f"container {container.id[:12]}" in "\n".join(update.log(task))


def test_the_process_of_a_task_is_killed(lab: Lab, update: Update, expected: str):
    container = update.held("extract")
    worker = worker_of(update, container.task)
    instance = update.task(container.task)["id"]
    titles = processes(worker.id)
    supervised = [pid for pid, title in titles.items() if _runs(title, instance)]
    assert len(supervised) == 1, titles
    with measured(update, "kill -9 of a task's process", expected):
        signal("KILL", supervised[0])
        go_on(container.id)
    assert update.task(container.task)["try_number"] == 2
    runs = [one for one in update.containers() if one.task == container.task]
    assert len(runs) == len({one.step for one in runs})


def test_the_container_of_a_task_is_killed(lab: Lab, update: Update, expected: str):
    container = update.held("extract")
    with measured(update, "kill -9 of a task's container", expected):
        kill_container(container.id)
        go_on(container.id)
    assert update.task(container.task)["try_number"] == 2
    runs = [one for one in update.containers() if one.task == container.task and one.step == "run"]
    assert [one.exit_status for one in runs] == [137, 0]


def test_a_worker_is_told_to_stop(lab: Lab, update: Update, expected: str):
    container = update.held("extract")
    worker = worker_of(update, container.task)
    before = main_process(worker.id)
    with measured(update, "SIGTERM to a worker", expected):
        kill_container(worker.id, "TERM")
        go_on(container.id)
        until("the worker's restart", lambda: main_process(worker.id) not in (before, 0), 120)
    # What it had it ended first, and nowhere else: no task was tried again.
    assert {one["try_number"] for one in update.tasks()} == {1}
    assert worker.id.startswith(update.task(container.task)["hostname"])


def _runs(title: str, instance: str) -> bool:
    return instance in title and "supervisor" not in title
