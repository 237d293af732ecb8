"""The workers of a cluster: do they take tasks, and how many wait for them?"""

from __future__ import annotations

import time

from deploy.common.errors import ClusterError
from deploy.local.cluster.compose import Compose, Container, docker

# The health check of a part of the cluster, inside its container.
CHECK = ("python", "-I", "-m", "deploy.container.health")
_QUEUE = "default"
_REDIS_CLI = "REDISCLI_AUTH=$(cat /run/secrets/redis_password) exec redis-cli --raw"


def wait_until_consuming(compose: Compose, count: int, seconds: float) -> None:
    """Wait until so many workers take tasks. Raises `ClusterError`."""
    deadline = time.monotonic() + seconds
    while True:
        found = [one for one in compose.ps() if one.service == "worker"]
        said = {one.name: check(one) for one in found if one.state == "running"}
        waiting = [name for name, (works, _) in said.items() if works]
        if len(waiting) >= count:
            return
        if time.monotonic() > deadline:
            why = "\n".join(line for works, line in said.values() if not works)
            raise ClusterError(
                f"{len(waiting)} of {count} workers take tasks.\n{why}\n"
                "`make cluster-logs SERVICE=worker` shows what they say."
            )
        time.sleep(1)


def check(worker: Container) -> tuple[bool, str]:
    """Whether a worker takes tasks at this moment, and its health check's own words."""
    try:
        line = docker("exec", worker.id, *CHECK, "worker")
    except ClusterError as error:
        return False, str(error).splitlines()[-1]
    return True, line.strip()


def waiting(compose: Compose) -> int:
    """Tasks in the queue that no worker has taken. Raises `ClusterError` if Redis does not answer."""
    command = f"{_REDIS_CLI} llen {_QUEUE}"
    return int(compose.run("exec", "-T", "redis", "sh", "-c", command, capture=True))
