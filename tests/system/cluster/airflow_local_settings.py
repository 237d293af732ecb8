"""Airflow's cluster policy for tests: retries come soon. Users' DAGs keep their minutes."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import BaseOperator


def task_policy(task: BaseOperator) -> None:
    task.retry_delay = timedelta(seconds=5)
