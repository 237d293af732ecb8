"""One operator alone, in a DAG of one's own: how much waits in a source."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from operators import CollectSamplesOperator

with DAG(
    "how_much_is_new",
    description="Say how many files of a source the corpus has not seen yet.",
    schedule=None,
    tags=["corpus", "example"],
    params={"source": Param("/srv/samples", type="string", minLength=1)},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    look = CollectSamplesOperator(task_id="look", sources="{{ params.source }}")

    @task
    def say(report: dict[str, Any]) -> int:
        print(f"{report['candidates']} new files, {report['bytes']:,} bytes.")
        return int(report["candidates"])

    # The task returns the names of the shards; the whole report is under a key of its own.
    say(look.output["report"])
