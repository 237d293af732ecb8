"""Containers of tasks: those that this cluster's workers started, and that no task needs any more."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.api import AirflowApi
from deploy.cluster.compose import docker
from deploy.cluster.place import Place

_KEY = ("dag_id", "run_id", "task_id", "map_index", "try_number")


@dataclass(frozen=True)
class TaskContainer:
    """A container of a task, and the task that its labels name."""

    id: str
    status: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int

    def __str__(self) -> str:
        index = f"[{self.map_index}]" if self.map_index >= 0 else ""
        task = f"{self.task_id}{index} of {self.dag_id}, {self.run_id}, try {self.try_number}"
        return f"{self.id[:12]} ({self.status}): {task}"


def task_containers(place: Place) -> list[TaskContainer]:
    """All that this cluster's tasks have on this engine, running or not."""
    ids = docker("ps", "--all", "--quiet", "--filter", "label=corpus.task_id").split()
    if not ids:
        return []
    found: list[dict[str, Any]] = json.loads(docker("inspect", *ids))
    scratch = place / "scratch"
    return [_container(one) for one in found if _sees(one, scratch)]


def orphans(place: Place, api: AirflowApi) -> list[tuple[TaskContainer, str]]:
    """Those whose task does not run, with what Airflow says of the task; the reaper removes them."""
    found = []
    for container in task_containers(place):
        task = api.task(container.dag_id, container.run_id, container.task_id, container.map_index)
        state = task["state"] if task else "unknown to Airflow"
        if state != "running":
            found.append((container, str(state)))
    return found


def _sees(container: dict[str, Any], folder: Path) -> bool:
    # An engine may have several clusters; each has a scratch folder of its own.
    mounts = (Path(mount.get("Source", "/")) for mount in container["Mounts"])
    return any(source.is_relative_to(folder) for source in mounts)


def _container(one: dict[str, Any]) -> TaskContainer:
    labels = one["Config"]["Labels"]
    dag_id, run_id, task_id, map_index, try_number = (labels.get(f"corpus.{k}", "") for k in _KEY)
    return TaskContainer(
        one["Id"], one["State"]["Status"], dag_id, run_id, task_id, int(map_index), int(try_number)
    )
