"""A worker's health: does it take tasks? With a real Celery worker, Redis and Postgres."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from deploy.local.cluster.compose import docker
from tests.system.cluster.harness_faults import signal
from tests.system.cluster.health_stack import Stack


@pytest.fixture(scope="module")
def stack(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("health"))
    try:
        made.start_redis()
        made.start_postgres()
        made.start_execution_api()
        made.start_worker()
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def _idle(stack: Stack) -> None:
    """Each test begins with a worker that waits for tasks."""
    stack.wait(lambda: stack.health("worker").line == "worker: waits for tasks: 0 of 2 slots taken")


def test_an_idle_and_a_busy_worker_are_healthy(stack: Stack) -> None:
    stack.send("worker", 1, 5)
    stack.wait(lambda: "1 of 2" in stack.health("worker").line)
    assert stack.health("worker").line == "worker: waits for tasks: 1 of 2 slots taken"
    stack.send("worker", 4, 5)
    stack.wait(lambda: "2 of 2" in stack.health("worker").line)
    # More wait than it has slots for, which is none of its fault.
    assert stack.queued() >= 1
    health = stack.health("worker")
    assert (health.status, health.line) == (0, "worker: works: 2 of 2 slots taken")
    stack.wait(lambda: stack.queued() == 0)


def test_a_worker_whose_tasks_cannot_report_is_unhealthy(stack: Stack) -> None:
    name, url = "AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://api-server:8080/path/execution/"
    says = f"worker: unhealthy: Airflow's execution API is not at {url}: see {name}"
    for _ in range(4):
        stack.wait(lambda: stack.health("worker", **{name: url}).line == says, 60, says)
        assert stack.health("worker", **{name: url}).status == 1
    away = stack.health("worker", **{name: "http://nowhere:8080/execution/"})
    assert away.line.startswith(
        "worker: waiting: the API does not answer: http://nowhere:8080/execution/health: "
    )
    # By a proxy, unless the name is among those that go through none.
    proxied = {"http_proxy": "http://127.0.0.1:9", "no_proxy": "localhost"}
    assert "by the proxy 127.0.0.1:9" in stack.health("worker", **proxied).line
    direct = {**proxied, "no_proxy": "api-server"}
    stack.wait(lambda: stack.health("worker", **direct).status == 0, 60, "the worker by no proxy")
    # A new start would mend nothing, and so none is asked for.
    assert stack.restarts(f"{stack.name}-worker") == 0


def test_a_worker_that_answers_but_takes_nothing_is_started_again(stack: Stack) -> None:
    name = f"{stack.name}-worker"
    before = stack.restarts(name)
    stack.control("worker", "cancel_consumer", queue="default")
    assert "pong" in str(stack.control("worker", "ping"))
    lines = []

    def restarted() -> bool:
        health = stack.health("worker")
        lines.append(health.line)
        # A container that is just ending gives no line of the check.
        assert health.status != 0 or stack.restarts(name) > before
        return stack.restarts(name) > before

    stack.wait(restarted)
    assert "is connected to Redis, but does not wait for tasks (0 of 2 slots taken)" in lines[0]
    assert any("asked to end" in line for line in lines)
    stack.wait(lambda: stack.health("worker").status == 0, what="the worker to work again")
    stack.send("worker", 1, 0)
    stack.wait(lambda: stack.queued() == 0, what="the task to be taken")


def test_a_worker_that_takes_nothing_more_finishes_its_tasks_first(stack: Stack) -> None:
    name = f"{stack.name}-worker"
    before = stack.restarts(name)
    # Long enough for the check to lose patience with the worker, also on a busy machine.
    stack.send("worker", 1, 60)
    stack.wait(lambda: "1 of 2" in stack.health("worker").line)
    stack.control("worker", "cancel_consumer", queue="default")
    lines = []

    def restarted() -> bool:
        lines.append(stack.health("worker").line)
        return stack.restarts(name) > before

    stack.wait(restarted, 180)
    assert any("asked to end" in line for line in lines)
    assert not any("killed" in line for line in lines)
    assert re.search(r"Task nap\S+ succeeded in 6\d", stack.logs(name))


def test_a_worker_that_hangs_is_killed(stack: Stack) -> None:
    name = f"{stack.name}-worker"
    before = stack.restarts(name)
    signal("STOP", stack.pid("worker", ":MainProcess]"))
    lines = []

    def restarted() -> bool:
        lines.append(stack.health("worker").line)
        return stack.restarts(name) > before

    stack.wait(restarted)
    # It cannot do what it is asked.
    assert any("asked to end" in line for line in lines)
    assert any("killed, because it did not end" in line for line in lines)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("tasks", [0, 1, 3])
def test_a_worker_heals_when_redis_was_restarted(stack: Stack, how: str, tasks: int) -> None:
    restarts = stack.restarts(f"{stack.name}-worker")
    stack.send("worker", tasks, 4)
    redis = stack.pid("redis", "redis-server")
    signal(how.removeprefix("SIG"), redis)
    stack.wait(lambda: stack.pid_or_none("redis", "redis-server") not in (None, redis))
    stack.wait(lambda: stack.health("worker").status == 0)
    stack.wait(lambda: "0 of 2" in stack.health("worker").line)
    stack.send("worker", 3, 0)
    stack.wait(lambda: stack.queued() == 0, what="the tasks to be taken")
    assert stack.restarts(f"{stack.name}-worker") == restarts


def test_redis_that_is_away_is_not_the_workers_fault(stack: Stack) -> None:
    restarts = stack.restarts(f"{stack.name}-worker")
    pid = stack.pid("redis", "redis-server")
    signal("STOP", pid)
    try:
        lines = [stack.health("worker").line for _ in range(3)]
    finally:
        signal("CONT", pid)
    assert [line.split(": Redis")[0] for line in lines] == ["worker: waiting"] * 3
    stack.wait(lambda: stack.health("worker").status == 0)
    assert stack.restarts(f"{stack.name}-worker") == restarts


def test_a_connection_that_was_lost_without_a_word_is_made_anew(stack: Stack) -> None:
    """Redis goes and comes back while no packet of it arrives: the worker waits on, and nobody answers."""
    restarts = stack.restarts(f"{stack.name}-worker")
    redis = f"{stack.name}-redis"
    docker("network", "disconnect", stack.name, redis)
    try:
        signal("KILL", stack.pid("redis", "redis-server"))
        stack.wait(lambda: stack.pid_or_none("redis", "redis-server") is not None)
    finally:
        docker("network", "connect", "--alias", "redis", stack.name, redis)
    stack.send("worker", 1, 0)
    stack.wait(lambda: stack.queued() == 0, what="the task to be taken")
    assert stack.restarts(f"{stack.name}-worker") == restarts


def test_where_redis_does_not_tell_who_waits_the_queue_tells(stack: Stack) -> None:
    stack.redis("ACL", "SETUSER", "default", "-client|list")
    try:
        assert stack.health("worker").line == "worker: no task is in the queue: 0 of 2 slots taken"
        stack.control("worker", "cancel_consumer", queue="default")
        stack.send("worker", 1, 0)
        assert "takes none of the 1 tasks in the queue (0 of 2" in stack.health("worker").line
        stack.control("worker", "add_consumer", queue="default")
        stack.wait(lambda: stack.queued() == 0)
        assert stack.health("worker").status == 0
    finally:
        stack.redis("ACL", "SETUSER", "default", "+client|list")


def test_tasks_taken_while_postgres_is_away_are_done_when_it_is_back(stack: Stack) -> None:
    name = f"{stack.name}-worker"
    restarts, ended = stack.restarts(name), stack.logs(name).count("succeeded in")
    received = stack.logs(name).count(" received")
    docker("stop", f"{stack.name}-postgres")
    try:
        stack.send("worker", 2, 0)
        stack.wait(lambda: stack.logs(name).count(" received") >= received + 2)
        stack.wait(lambda: "Failed operation _store_result" in stack.logs(name))
    finally:
        docker("start", f"{stack.name}-postgres")
    stack.wait(
        lambda: stack.logs(name).count("succeeded in") >= ended + 2, what="both tasks to end"
    )
    assert stack.health("worker").status == 0
    assert stack.restarts(name) == restarts


def test_the_check_costs_little(stack: Stack) -> None:
    """Much less than a start of Airflow, which is the simple way to ask."""

    def used(*command: str) -> float:
        measure = (
            f"import resource, subprocess; subprocess.run({command!r}, check=True);"
            "used = resource.getrusage(resource.RUSAGE_CHILDREN);"
            "print(used.ru_utime + used.ru_stime)"
        )
        return float(stack.call("worker", "python", "-c", measure).stdout.splitlines()[-1])

    check = used("python", "-I", "-m", "deploy.container.health", "worker")
    assert check < used("python", "-c", "import airflow.sdk.api.client") / 3
