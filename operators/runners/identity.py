"""Who runs: the identity of a task, for the corpus and for its containers."""

from __future__ import annotations

import socket

from airflow.sdk.definitions.context import Context

from corpus.contract.run_identity import RunIdentity, run_uuid
from operators.task_try import TaskTry


def run_identity(context: Context) -> RunIdentity:
    """Who asks for the work: kept in the update's record and in the manifest of its snapshot."""
    ti, dag_run = context["ti"], context["dag_run"]
    return {
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "run_uuid": run_uuid(ti.dag_id, ti.run_id),
        "run_type": str(getattr(dag_run.run_type, "value", dag_run.run_type)),
        "triggered_by": getattr(dag_run, "triggering_user_name", None),
        "task_id": ti.task_id,
        "map_index": ti.map_index,
        "try_number": ti.try_number,
        "task_instance_id": str(ti.id),
    }


def task_try(context: Context, host: str) -> TaskTry:
    """The try that is running, on a host of that name, or else of the machine's own."""
    ti = context["ti"]
    return TaskTry(
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        try_number=ti.try_number,
        run_uuid=run_uuid(ti.dag_id, ti.run_id),
        task_instance_id=str(ti.id),
        generation=ti.max_tries,
        host=host or socket.gethostname(),
    )
