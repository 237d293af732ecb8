"""The deadline of an update."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.dagbag import DBDagBag
from airflow.models.deadline import Deadline
from airflow.models.taskinstance import clear_task_instances
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select

from tests.support import airflow_home

HOURS = 12


@pytest.mark.usefixtures("airflow_db")
@pytest.mark.parametrize("state", [DagRunState.RUNNING, DagRunState.FAILED])
def test_a_task_of_an_unfinished_update_can_be_cleared(state: DagRunState) -> None:
    DagBundlesManager().sync_bundles_to_db()
    with create_session() as session:
        sync_bag_to_db(DagBag(airflow_home.REPO / "dags"), "dags-folder", None, session=session)
        dag = DBDagBag().get_latest_version_of_dag("corpus_update", session=session)
        assert dag is not None
        run = dag.create_dagrun(
            run_id=f"cleared-{state}",
            run_after=datetime.now(UTC),
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.QUEUED,
            session=session,
        )
        session.flush()
        deadline = session.scalars(select(Deadline).filter_by(dagrun_id=run.id)).one()
        assert deadline.deadline_time == run.queued_at + timedelta(hours=HOURS)

        run.state = state
        task = next(ti for ti in run.task_instances if ti.task_id == "collect")
        task.state = TaskInstanceState.FAILED
        session.flush()
        clear_task_instances([task], session)
        session.flush()
        assert task.state is None
        session.rollback()
