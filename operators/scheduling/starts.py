"""What the scheduler does when a run of one of our DAGs starts: refuse it, or date it and note why it is late.

The plugin registers this module; Airflow calls its hook in the scheduler, before it looks at any task.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

from corpus.contract.registry import SERVICES
from operators.scheduling import overdue, waited
from operators.scheduling.refusal import refusal

if TYPE_CHECKING:
    from airflow.models import DagRun

# Other DAGs of the same Airflow are none of the corpus's business.
DAG_IDS = frozenset(
    {overdue.DAG_ID, *(f"corpus_{service.identifier}" for service in SERVICES.values())}
)
# Airflow's own limit of a note.
NOTE_LENGTH = 1000

log = logging.getLogger(__name__)


@hookimpl
def on_dag_run_running(dag_run: DagRun, msg: str) -> None:
    """End a run that cannot work; else date it by its first start, and note it if that is late."""
    began = dag_run.start_date
    if dag_run.dag_id not in DAG_IDS or dag_run.dag is None or began is None:
        return
    if why := refusal(dag_run.conf or {}, list(dag_run.dag.params), dag_run.logical_date, began):
        _end(dag_run, why)
    elif not dag_run.clear_number and dag_run.last_scheduling_decision is None:
        overdue.note(dag_run, began)
        waited.note(dag_run, began)
        # Its update is named after this, the same in all tasks and tries. Named after when the run was due, or
        # what a caller of the API gave, it could get a name before that of a snapshot it builds on.
        dag_run.run_after = began


def _end(dag_run: DagRun, why: str) -> None:
    from airflow.utils.state import DagRunState

    log.error("Run %s of %s: %s", dag_run.run_id, dag_run.dag_id, why)
    # A note of a person stays below.
    dag_run.note = "\n\n".join(filter(None, [why, dag_run.note]))[:NOTE_LENGTH]
    dag_run.state = DagRunState.FAILED
    dag_run.notify_dagrun_state_changed(msg="refused")
