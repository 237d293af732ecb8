"""Ways to break a cluster, and what they cost it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from deploy.common.errors import ClusterError
from deploy.local.cluster.compose import Container, docker
from tests.system.cluster.harness import Lab, Update, task_name
from tests.system.cluster.harness_report import Measurement, note

MET = ("queued", "running", "restarting")


def signal(name: str, *pids: int) -> None:
    """Signal processes of the host.

    Not by `docker kill`: a container that the engine was asked to end is not started again. From a
    container, so that a person who may use the engine need not be root.
    """
    docker(
        *("run", "--rm", "--pid", "host", "--network", "none", "--user", "0:0"),
        *("--cap-drop", "ALL", "--cap-add", "KILL", "--entrypoint", "sh", "corpus-redis"),
        *("-c", 'kill -s "$@"', "sh", name, *map(str, pids)),
    )


def main_process(container: str) -> int:
    """Its first process, as the host numbers it."""
    return int(docker("inspect", "--format", "{{.State.Pid}}", container))


def kill_container(container: str, name: str = "KILL") -> None:
    """End a container as the kernel would, so that its restart policy acts."""
    signal(name, main_process(container))


def go_on(container: str) -> None:
    """End what `Update.held` began."""
    docker("unpause", container)


def hang(container: str) -> None:
    """Stop all that a container runs where it is; it hears no SIGTERM any more."""
    signal("STOP", *(processes(container).keys() - {main_process(container)}))


def processes(container: str) -> dict[int, str]:
    """Processes of a container, as the host numbers them, with their titles."""
    lines = docker("top", container, "-eo", "pid,args").splitlines()[1:]
    split = (line.split(None, 1) for line in lines)
    return {int(pid): title for pid, title in split}


def service(lab: Lab, name: str) -> Container:
    """The one container of a service that has one."""
    (found,) = lab.cluster.containers(name)
    return found


def redis(lab: Lab, *command: str) -> str:
    """Redis's answer; empty while it does not answer."""
    inside = 'REDISCLI_AUTH=$(cat /run/secrets/redis_password) exec redis-cli "$@"'
    try:
        return docker("exec", service(lab, "redis").id, "sh", "-c", inside, "sh", *command).strip()
    except ClusterError:
        return ""


def worker_of(update: Update, task: str) -> Container:
    """The worker that runs a task now: Airflow knows the host name of its container."""
    host = update.task(task)["hostname"]
    workers = update.lab.cluster.containers("worker")
    return next(one for one in workers if one.id.startswith(host))


@contextmanager
def measured(update: Update, fault: str, expected: str) -> Iterator[None]:
    """Do a fault in the body; then the update must succeed by itself, and what it took is noted."""
    met = {task_name(one) for one in update.tasks() if one["state"] in MET}
    began = time.time()
    yield
    done = time.time()
    update.must_succeed(expected)
    tasks = update.tasks()
    ends = [seconds(one["end_date"]) for one in tasks if task_name(one) in met]
    # A task may end well without who hands out the next one, which may begin before the fault is complete.
    later = [seconds(one["start_date"]) for one in tasks if task_name(one) not in met]
    ends.append(min((start for start in later if start > done), default=began))
    run = update.lab.api.call("GET", f"dags/{update.dag}/dagRuns/{update.run_id}")
    note(
        Measurement(
            fault,
            healed_s=max(ends) - began,
            update_s=seconds(run["end_date"]) - seconds(run["start_date"]),
            tries=max(one["try_number"] for one in tasks),
        )
    )


def seconds(moment: str) -> float:
    """Since 1970, of a moment as Airflow writes it."""
    return datetime.fromisoformat(moment).astimezone(UTC).timestamp()
