"""Rules for every DAG of this repository."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from corpus.contract.registry import SERVICES
from corpus.settings import Settings
from operators.base import CorpusOperator
from tests.support import airflow_home

FILES = sorted((airflow_home.REPO / "dags").glob("*.py"))
BAG = DagBag(airflow_home.REPO / "dags")
DAGS = [pytest.param(dag, id=dag_id) for dag_id, dag in sorted(BAG.dags.items())]
every_dag = pytest.mark.parametrize("dag", DAGS)


def test_every_file_loads() -> None:
    assert BAG.import_errors == {}


def test_there_is_the_master_and_one_dag_a_service() -> None:
    services = {f"corpus_{service.identifier}" for service in SERVICES.values()}
    assert set(BAG.dag_ids) == services | {"corpus_update"}


@every_dag
def test_it_says_what_it_does(dag: DAG) -> None:
    assert dag.description
    assert dag.doc_md
    assert "fails" in dag.doc_md
    assert "corpus" in dag.tags


@every_dag
def test_runs_do_not_pile_up(dag: DAG) -> None:
    assert dag.max_active_runs == 1
    assert dag.catchup is False


@every_dag
def test_every_task_has_an_owner_retries_and_a_limit(dag: DAG) -> None:
    for task in dag.tasks:
        assert task.owner == "corpus"
        assert task.retries >= 2
        assert task.retry_exponential_backoff
        assert task.execution_timeout


@every_dag
def test_every_param_is_explained_and_its_default_is_good(dag: DAG) -> None:
    for name in dag.params:
        param = dag.params.get_param(name)
        assert param.description, name
        assert param.schema["title"], name
        assert param.schema["type"], name
        jsonschema.Draft202012Validator.check_schema(param.schema)
        assert param.resolve() == param.value


@every_dag
def test_every_number_is_bounded_as_what_takes_it(dag: DAG) -> None:
    """What Airflow takes no task can refuse before it dies of it: a number of more than 64 bits, say."""
    takers = {**Settings.model_json_schema()["$defs"]["VerdictSettings"]["properties"]}
    takers |= Settings.model_json_schema()["$defs"]["LabelSettings"]["properties"]
    for service in SERVICES.values():
        takers |= service.request.model_json_schema()["properties"]
    for name in dag.params:
        schema = dag.params.get_param(name).schema
        if {"integer", "number"} & set(schema["type"]):
            taker = takers[name]
            taker = next(option for option in taker.get("anyOf", [taker]) if "maximum" in option)
            assert taker["minimum"] <= schema["minimum"] <= schema["maximum"] <= taker["maximum"]


@every_dag
def test_it_is_the_same_at_each_parse(dag: DAG) -> None:
    """Another text would be another version of the DAG, at each parse."""
    again = DagBag(airflow_home.REPO / "dags").dags[dag.dag_id]
    first, second = (
        json.dumps(DagSerialization.to_dict(one), sort_keys=True) for one in (dag, again)
    )
    assert first == second


@every_dag
def test_every_task_works_in_the_same_update_with_the_same_settings(dag: DAG) -> None:
    """Of one run: a task with settings of its own would make a snapshot of no one policy."""
    for task in dag.tasks:
        assert issubclass(task.operator_class if task.is_mapped else type(task), CorpusOperator)
        arguments = task.partial_kwargs if task.is_mapped else vars(task)
        assert arguments.get("root") is None
        if len(dag.tasks) > 1:
            assert arguments.get("update_id") is None
            # Those of a mapped task are filled in when it runs.
            assert task.is_mapped or task.settings == dag.default_args["settings"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_work_at_the_top_level(file: Path) -> None:
    """Nothing that a parse would wait for: no file, network, database, variable or clock is read."""
    allowed = {
        "__future__",
        "datetime",
        "airflow.sdk",
        "corpus",
        "corpus.contract",
        "operators",
        "operators.scheduling.deadlines",
        "operators.scheduling.params",
    }
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module in allowed
        assert not isinstance(node, ast.Import)
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"open", "datetime.now", "datetime.utcnow", "eval", "exec"}
            assert not called.startswith(("Variable.", "Connection.", "os."))


def test_a_parse_runs_no_git() -> None:
    """The version of the code is asked of git only by who needs it."""
    script = (
        "import sys; from airflow.dag_processing.dagbag import DagBag;"
        "sys.addaudithook(lambda name, args: name == 'subprocess.Popen' and print('started', args[0]));"
        "print(len(DagBag(sys.argv[1]).dags), 'DAGs')"
    )
    command = [sys.executable, "-c", script, str(airflow_home.REPO / "dags")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert f"{len(BAG.dags)} DAGs" in done.stdout
    assert "started git" not in done.stdout
