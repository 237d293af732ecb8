"""What a person wants to know of a cluster: is it well, has it work, is anything left over?"""

from __future__ import annotations

from collections.abc import Iterator

import httpx

from deploy.api import AirflowApi
from deploy.cluster import workers
from deploy.cluster.compose import Compose
from deploy.cluster.errors import ClusterError
from deploy.cluster.leftovers import lost

RUNS = 5


def status(compose: Compose, login: tuple[str, str, str]) -> Iterator[str]:
    """Lines, each section as soon as it is known. `login` is the API's address, user and password."""
    yield "Services"
    for container in compose.ps():
        yield f"  {container.name:<28} {container.status}"
    yield "Workers"
    try:
        found = workers.look(compose)
    except ClusterError as error:
        yield f"  {error}"
    else:
        for worker in found.workers:
            consuming = "takes tasks" if worker.consuming else "TAKES NO TASKS"
            yield f"  {worker.host:<28} {worker.running} of {worker.slots} slots busy, {consuming}"
        for queue, waiting in found.queues.items():
            yield f"  {f'queue {queue}':<28} {waiting} waiting"
    yield "Last runs"
    try:
        api = AirflowApi(*login)
        for run in api.runs(RUNS):
            yield f"  {run['dag_id']:<28} {run['state']:<8} {run['dag_run_id']}"
    except httpx.HTTPError as error:
        yield f"  Airflow's API does not answer: {error}"
    yield "Left over by tasks that are gone"
    try:
        yield from (f"  {one}" for one in lost(compose) or ["nothing"])
    except ClusterError as error:
        yield f"  The reaper does not say: {error}"
