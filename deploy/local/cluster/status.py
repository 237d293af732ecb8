"""What a person wants to know of a cluster: is it well, has it work, is anything left over?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.common.airflow_api import AirflowApi
from deploy.common.errors import AnswerError, ClusterError, UnavailableError
from deploy.local.cluster import workers
from deploy.local.cluster.compose import Compose
from deploy.local.cluster.leftovers import lost
from deploy.local.cluster.trouble import is_well, last_words
from deploy.local.follow import ENDED
from deploy.local.waits import Waits

RUNS = 5


def status(compose: Compose, login: tuple[str, str, str]) -> Iterator[str]:
    """Lines, each section as soon as it is known. `login` is the API's address, user and password."""
    yield "Services"
    for container in compose.ps():
        yield f"  {container.name:<28} {container.status}"
        if not is_well(container):
            yield from (f"    {line}" for line in last_words(container))
    yield "Workers"
    for container in compose.ps():
        if container.service == "worker":
            yield f"  {container.name:<28} {workers.check(container)[1]}"
    try:
        yield f"  {'queue':<28} {workers.waiting(compose)} tasks waiting"
    except ClusterError as error:
        yield f"  Redis does not answer: {error}"
    yield "Last runs"
    try:
        api = AirflowApi(*login)
        for run in api.runs(RUNS):
            yield f"  {run['dag_id']:<28} {run['state']:<8} {run['dag_run_id']}"
            if run["state"] not in ENDED:
                yield f"    {_waits(api, run)}"
    except UnavailableError as error:
        yield f"  {error}"
    yield "Left over by tasks that are gone"
    try:
        yield from (f"  {one}" for one in lost(compose) or ["nothing"])
    except ClusterError as error:
        yield f"  The reaper does not say: {error}"


def _waits(api: AirflowApi, run: dict[str, Any]) -> str:
    try:
        return Waits(api).of(run)
    except AnswerError as error:
        # It may have been deleted just now; the others are worth a line all the same.
        return str(error)
