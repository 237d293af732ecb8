"""What somebody types into a form, on its way through Airflow, an operator and the process runner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

from operators.runners.command import Call
from operators.runners.process import ProcessRunner
from tests.support import airflow_home
from tests.support.spellings import SECRET, garden, spelled

pytestmark = pytest.mark.airflow

# One of each kind; tests/corpus/cli/test_places.py has all spellings.
TYPED = [
    "{out}/secret.txt",
    "{in}/../out/secret.txt",
    "file://{out}/secret.txt",
    "local://{out}/secret.txt",
    "/x://../{out}/secret.txt",
    "{in}/link-to-secret",
    "{in}/fifo",
    "/proc/self/environ",
    "filecache::{out}/secret.txt",
    "http://127.0.0.1:1/a",
    "s3://other-bucket/a",
    "relative",
]


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A worker whose settings name one source."""
    made = garden(tmp_path)
    monkeypatch.setenv("CORPUS_STORE__ROOT", str(tmp_path / "corpus"))
    monkeypatch.setenv("CORPUS_SOURCES__URLS", json.dumps([made["{in}"]]))
    return made


@pytest.mark.parametrize("text", TYPED)
def test_the_process_runner_is_strict(names: dict[str, str], tmp_path: Path, text: str) -> None:
    said: list[str] = []
    result = tmp_path / "result.json"
    call = Call("import-verdicts", {"update": "u", "urls": [spelled(text, names)]})
    status = ProcessRunner().run(call, result=result, on_line=said.append)
    assert (status, json.loads(result.read_text())["status"]) == (2, "error")
    assert SECRET not in "\n".join([*said, result.read_text()])


@pytest.mark.parametrize(
    ("dag_id", "param"), [("corpus_import_verdicts", "urls"), ("corpus_collect", "sources")]
)
def test_what_a_form_names_ends_the_task_at_once(
    names: dict[str, str], capfd: pytest.CaptureFixture[str], dag_id: str, param: str
) -> None:
    dag: Any = DagBag(str(airflow_home.REPO / "dags")).dags[dag_id]
    (task,) = dag.tasks
    run = airflow_home.run_dag(dag, {param: [f"{names['{out}']}/secret.txt"]})
    (ti,) = run.get_task_instances()
    # Not up for a try again, of which there are three.
    assert (ti.state, task.retries) == ("failed", 3)
    shown = capfd.readouterr()
    assert SECRET not in shown.out + shown.err
    assert "is an allowed place" in shown.out + shown.err
