"""A late verdict becomes a snapshot: a chain of one's own, on a corpus of one's own."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset, Param, TriggerRule

from operators import (
    ImportVerdictsOperator,
    PublishSnapshotOperator,
    ResolveLabelsOperator,
    ValidateUpdateOperator,
)

with DAG(
    "verdicts_of_a_team",
    description="Take in what analysts have decided, and publish the labels that follow.",
    schedule=None,
    max_active_runs=1,
    tags=["corpus", "example"],
    params={
        "verdicts": Param([], type="array", items={"type": "string"}),
        "root": Param("s3://corpora/experiment", type="string"),
    },
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        # Each task ends "skipped" where there is nothing new for it; the others go on.
        "trigger_rule": TriggerRule.NONE_FAILED,
        "root": "{{ params.root }}",
        # What is typed above speaks as `form`, unless it lies in a place of `verdicts.feeds`.
        "settings": {"labels.precedence": '["analyst", "manifest", "virustotal", "form"]'},
    },
):
    (
        ImportVerdictsOperator(task_id="import_verdicts", urls="{{ params.verdicts | tojson }}")
        >> ResolveLabelsOperator(task_id="label")
        >> ValidateUpdateOperator(task_id="validate")
        >> PublishSnapshotOperator(
            task_id="publish",
            note="Verdicts of the analysts, {{ ds | default(run_id) }}.",
            outlets=[Asset(name="experiment_snapshot", uri="corpus://experiment/snapshots")],
        )
    )
