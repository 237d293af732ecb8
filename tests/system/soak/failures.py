"""How tasks failed, in a word each: what was done to them explains some ways, and no others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from deploy.common.airflow_api import AirflowApi
from deploy.local.update import DAG

_ERROR = re.compile(r"\b([A-Z][A-Za-z]+(?:Error|Exception|Timeout)): ")
# The last: Airflow had been told otherwise before the task said how it ended.
_ENDED = (
    *("terminated by signal", "Task killed!", "ended by signal", "was stopped"),
    "not in the running state",
)
# A run that was cleared or went on after another one had published says so; so does one that was given up.
EXPLAINED = {"ended from outside", "ConflictError", "no log"}


def why(lines: Iterable[str]) -> str:
    """The error that the log of a failed task ends with."""
    found = "no log"
    for line in lines:
        if any(words in line for words in _ENDED):
            found = "ended from outside"
        elif errors := _ERROR.findall(line):
            # Airflow's own stands before ours.
            found = errors[-1]
    return found


def failures(api: AirflowApi, since: datetime) -> tuple[Counter[str], list[str]]:
    """Of all failed tasks of runs that are left: how many failed in which way; and what nothing explains.

    :param since: when the first run was begun; those before it are somebody else's.
    """
    counts: Counter[str] = Counter()
    unexplained = []
    wanted = {"state": ["failed"], "run_after_gte": since.isoformat(), "limit": 100}
    runs = api.call("GET", f"dags/{DAG}/dagRuns", params=wanted)["dag_runs"]
    for run in runs:
        for task in api.tasks(DAG, run["dag_run_id"]):
            if task["state"] == "failed":
                lines = api.log(DAG, run["dag_run_id"], task)
                counts[reason := why(lines)] += 1
                if reason not in EXPLAINED:
                    unexplained.append(
                        f"{task['task_id']} of {run['dag_run_id']} failed: "
                        + " | ".join(lines[-6:])
                    )
    return counts, unexplained
