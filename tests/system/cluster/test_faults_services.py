"""Redis, Postgres, the scheduler and the API go away in the middle of an update: it heals by itself."""

from __future__ import annotations

import time

import pytest

from deploy.local.cluster.compose import docker
from tests.system.cluster.harness import Lab, Update
from tests.system.cluster.harness_faults import (
    kill_container,
    measured,
    processes,
    redis,
    service,
    signal,
)
from tests.system.cluster.harness_wait import until

pytestmark = pytest.mark.timeout(1200)
OUTAGE_S = 30


@pytest.fixture
def update(lab: Lab, undisturbed: Update) -> Update:
    return lab.update()


def test_redis_is_killed_and_loses_all_that_was_queued(lab: Lab, update: Update, expected: str):
    update.container("ingest")
    consumers = [
        pid
        for worker in lab.cluster.containers("worker")
        for pid, title in processes(worker.id).items()
        if ":MainProcess]" in title
    ]
    assert len(consumers) == 2
    # What runs goes on, and nobody takes what is queued next.
    signal("STOP", *consumers)
    try:
        until("a task in the queue", lambda: int(redis(lab, "llen", "default")), 120)
        with measured(update, "restart of Redis, and all in it lost", expected):
            container = service(lab, "redis").id
            docker("exec", container, "sh", "-c", "rm -rf /data/*")
            kill_container(container)
            until("Redis, empty", lambda: redis(lab, "dbsize") == "0", 60)
            signal("CONT", *consumers)
    finally:
        signal("CONT", *consumers)


def test_postgres_is_away_for_half_a_minute(lab: Lab, update: Update, expected: str):
    update.container("extract")
    with measured(update, f"Postgres stopped for {OUTAGE_S} s", expected):
        container = service(lab, "postgres").id
        docker("stop", container)
        time.sleep(OUTAGE_S)
        docker("start", container)
    # No task was given up, since each waited for longer than that.
    assert {one["try_number"] for one in update.tasks()} == {1}


def test_the_scheduler_is_killed(lab: Lab, update: Update, expected: str):
    update.container("extract")
    with measured(update, "kill -9 of the scheduler", expected):
        kill_container(service(lab, "scheduler").id)
    assert {one["try_number"] for one in update.tasks()} == {1}


def test_the_api_server_is_restarted(lab: Lab, update: Update, expected: str):
    update.container("extract")
    with measured(update, "restart of the api-server", expected):
        docker("restart", service(lab, "api-server").id)
    assert {one["try_number"] for one in update.tasks()} == {1}
