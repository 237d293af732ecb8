"""Airflow's cluster policy for a soak: retries come soon, the third as soon as the first."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import BaseOperator


def task_policy(task: BaseOperator) -> None:
    task.retry_delay = timedelta(seconds=2)
    task.retry_exponential_backoff = 0.0
