"""Define one DAG for each service, to run it alone from the UI."""

from __future__ import annotations

from airflow.sdk import DAG

from corpus.contract import registry
from operators import (
    DEFAULT_ARGS,
    CollectSamplesOperator,
    CorpusOperator,
    ExtractFeaturesOperator,
    GroupSamplesOperator,
    ImportVerdictsOperator,
    IngestSamplesOperator,
    PublishSnapshotOperator,
    ResolveLabelsOperator,
    SplitSamplesOperator,
    ValidateUpdateOperator,
)
from operators.scheduling.params import params_of

DOC = """
### corpus {name}

{summary} Runs the service alone; the DAG `corpus_update` runs all of them in order.

`update` is the id of the update to work in; the task logs show it, as `--update=...`. If it is empty,
the run works in a new update. Nobody else sees what is staged until `corpus_validate` and
`corpus_publish` have run on the same update.

**When it fails**, the first lines of the error say what is wrong and what to do; do that, then
clear the task. A passing fault (disk full, network down) is tried again by itself. A *ConflictError*
says that another update was published in the meantime: start a new update. A skipped task has found
nothing to do. If the task never began, the run was refused, and its note says why.
"""


def service_dag(operator: type[CorpusOperator]) -> DAG:
    """Build a DAG of one task, with a param for each field of the service's request."""
    service = registry.get(operator.service)
    params = params_of(service.request)
    # By subscript: `params.update` is a method of the dictionary.
    given = {
        name: f"{{{{ params['{name}']{' | tojson' if 'array' in param.schema['type'] else ''} }}}}"
        for name, param in params.items()
        if name in operator.template_fields
    }
    if "dry_run" in params:
        # BaseOperator has a method of this name.
        given["mode"] = "{{ 'dry-run' if params.dry_run else 'publish' }}"
    with DAG(
        f"corpus_{service.identifier}",
        description=service.summary,
        doc_md=DOC.format(name=service.name, summary=service.summary),
        schedule=None,
        catchup=False,
        max_active_runs=1,
        tags=["corpus", "service"],
        params=params,
        # A copy, since Airflow wants a dict of its own.
        default_args=dict(DEFAULT_ARGS),
    ) as dag:
        operator(task_id=service.identifier, update_id="{{ params['update'] }}", **given)
    return dag


for _operator in (
    CollectSamplesOperator,
    IngestSamplesOperator,
    ImportVerdictsOperator,
    ResolveLabelsOperator,
    ExtractFeaturesOperator,
    GroupSamplesOperator,
    SplitSamplesOperator,
    ValidateUpdateOperator,
    PublishSnapshotOperator,
):
    globals()[f"corpus_{_operator.service}"] = service_dag(_operator)
