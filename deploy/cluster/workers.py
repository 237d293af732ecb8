"""The workers of a cluster: do they take tasks?"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from deploy.cluster.compose import Compose, docker
from deploy.cluster.errors import ClusterError

_INSIDE = Path(__file__).with_name("inside.py")


@dataclass(frozen=True)
class Worker:
    """A worker: its container's host name, its slots, the tasks it runs, and whether it listens."""

    host: str
    slots: int
    running: int
    consuming: bool


@dataclass(frozen=True)
class Workers:
    """All that answered, and how many tasks wait in each queue."""

    workers: list[Worker]
    queues: dict[str, int]


def look(compose: Compose) -> Workers:
    """Ask a running worker about all of them. Raises `ClusterError` where none runs or answers."""
    running = [c for c in compose.ps() if c.service == "worker" and c.state == "running"]
    if not running:
        raise ClusterError("No worker runs.")
    script = _INSIDE.read_text()
    output = docker("exec", "-i", running[0].id, "python", "-", str(len(running)), input=script)
    found = json.loads(output.strip().splitlines()[-1])
    return Workers([Worker(**one) for one in found["workers"]], found["queues"])


def wait_until_consuming(compose: Compose, count: int, seconds: float) -> Workers:
    """Wait until so many workers take tasks. Raises `ClusterError`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = look(compose)
            ready = sum(worker.consuming for worker in found.workers)
        except ClusterError as error:
            ready, why = 0, str(error)
        else:
            why = f"{ready} of {count} workers take tasks."
        if ready >= count:
            return found
        if time.monotonic() > deadline:
            raise ClusterError(f"{why}\n`make cluster-logs SERVICE=worker` shows what they say.")
        time.sleep(1)
