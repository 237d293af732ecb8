"""The cluster as a soak sees it: the containers of its engine."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from corpus.store.object_store import Store
from deploy.common.errors import ClusterError
from deploy.local.cluster import workers
from deploy.local.cluster.compose import Container, docker
from deploy.local.cluster.leftovers import task_containers
from operators.runners.result_folder import RESULTS
from tests.system.cluster.harness import Input, Lab
from tests.system.cluster.harness_faults import (
    go_on,
    main_process,
    processes,
    signal,
)
from tests.system.cluster.harness_secrets import folder, leaks
from tests.system.soak.house import House, Work
from tests.system.soak.offers import Offers


class ClusterHouse(House):
    """Healed by restart policies, health checks and the reaper: nothing here starts anything again."""

    parts = (
        "worker",
        "scheduler",
        "api-server",
        "dag-processor",
        "triggerer",
        "redis",
        "postgres",
        "reaper",
    )

    def __init__(self, lab: Lab, offers: Offers, seed: int):
        self._lab = lab
        self._rng = random.Random(seed)
        given = Input(offers.samples, offers.verdicts, shards=2, min_files=1)
        self._root = lab.corpus(given)
        self.store = Store(self._root)
        self.api = lab.api
        self._whole = len(lab.cluster.compose.ps())

    def watch(self) -> None:
        """Nobody has to."""

    def working(self, services: Collection[str]) -> list[Work]:
        live = [one for one in list(self._lab.watch.seen.values()) if one.live]
        return [
            Work(service, f"{one.task} ({one.step})", one.id)
            for one in live
            if (service := one.task.split("[")[0].replace("_", "-")) in services
        ]

    def kill(self, work: Work, victim: str, after_s: float) -> str:
        container = self._lab.watch.seen[work.key]
        time.sleep(max(0.0, container.since + after_s - time.time()))
        try:
            # Frozen, so that it is in the middle of its work when the other is killed.
            docker("pause", container.id)
        except ClusterError:
            return ""
        try:
            if victim == "service":
                return f"container {container.id[:12]}" if _killed_container(container.id) else ""
            task = self._task_process(container.labels["corpus.task_instance_id"])
            return f"process {task}" if task and _killed(task) else ""
        finally:
            # A frozen one that was killed may have gone at once.
            with suppress(ClusterError):
                go_on(container.id)

    def _task_process(self, instance: str) -> int | None:
        for worker in self._lab.cluster.containers("worker"):
            for pid, title in processes(worker.id).items():
                if instance in title and "supervisor" not in title:
                    return pid
        return None

    def kill_part(self, part: str) -> str:
        chosen: Container = self._rng.choice(self._lab.cluster.containers(part))
        return f"container {chosen.name}" if _killed_container(chosen.id) else ""

    def ailing(self) -> str:
        found = self._lab.cluster.compose.ps()
        ill = [
            f"{one.name} is {one.state}, {one.health}" for one in found if one.health != "healthy"
        ]
        if len(found) < self._whole:
            ill.append(f"{self._whole - len(found)} containers are gone")
        return "; ".join(ill)

    def left_over(self) -> list[str]:
        cluster = self._lab.cluster
        found = [f"container {one}" for one in task_containers(cluster.place)]
        scratch = cluster.place / "scratch"
        found += [f"scratch folder {one}" for one in os.listdir(scratch) if _is_work(one)]
        for worker in cluster.containers("worker"):
            inside = docker("exec", worker.id, "find", "/tmp", "-name", f"{RESULTS}*").split()
            found += [f"in {worker.name}: {one}" for one in inside]
        if count := workers.waiting(cluster.compose):
            found.append(f"{count} tasks wait in Redis, and no run is under way")
        return found

    def secrets_left(self) -> list[str]:
        """Secrets of the cluster in what tasks have written: logs, scratch folders, the corpus."""
        place = self._lab.cluster.place
        files = [*(place / "secrets").rglob("*"), *(place / "users" / "passwords").rglob("*")]
        secrets = {one.name: one.read_text().strip() for one in files if one.is_file()}
        places = {"logs": place / "logs", "scratch": place / "scratch", "corpus": self._root}
        return leaks(secrets, ((name, folder(Path(path))) for name, path in places.items()))


def _killed_container(container: str) -> bool:
    """Kill what a container runs; False if it has just ended, or is about to begin."""
    main = main_process(container)
    return bool(main) and _killed(main)


def _killed(process: int) -> bool:
    """Kill a process; False if it has ended before the kill came to it."""
    try:
        signal("KILL", process)
    except ClusterError as error:
        if "No such process" not in str(error):
            raise
        return False
    return True


def _is_work(name: str) -> bool:
    # A reaper's sign of life is no task's.
    return not name.startswith(".reaper-")
