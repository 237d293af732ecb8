"""Operators run by Airflow: real tasks, the real runner, the real command line."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

import corpus.contract.run_identity
from corpus.store.object_store import Store
from corpus.store.staging import existing
from operators import (
    CollectSamplesOperator,
    ExtractFeaturesOperator,
    ImportVerdictsOperator,
    IngestSamplesOperator,
    PublishSnapshotOperator,
    ResolveLabelsOperator,
    ValidateUpdateOperator,
)
from operators.base import CorpusOperator
from tests.support import airflow_home

pytestmark = pytest.mark.airflow
SHA256 = "ab" * 32


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CORPUS_STORE__ROOT", str(tmp_path / "corpus"))
    monkeypatch.setenv("CORPUS_PLACES__ROOTS", json.dumps([str(tmp_path), str(airflow_home.REPO)]))
    return tmp_path / "corpus"


def run(
    operator: type[CorpusOperator], conf: Any = None, params: Any = None, **arguments: Any
) -> Any:
    """Run one task in a DAG of its own; returns its task instance."""
    with DAG(f"one_{operator.service.replace('-', '_')}", params=params) as dag:
        operator(task_id="task", **arguments)
    return airflow_home.run_dag(dag, conf).get_task_instance("task")


def pulled(ti: Any, key: str) -> Any:
    return ti.xcom_pull(task_ids="task", key=key)


def report(ti: Any) -> Any:
    return pulled(ti, "report")


def test_a_service_works_and_its_report_comes_back(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "verdicts.csv"
    file.write_text(f"sha256,verdict,reporter\n{SHA256},malicious,analyst\n")
    ti = run(ImportVerdictsOperator, urls=[str(file)])
    assert ti.state == "success"
    assert report(ti)["verdicts"] == 1
    assert pulled(ti, "return_value") == report(ti)


def test_a_task_that_is_ended_before_its_service_has_begun_runs_none(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a signal that comes while settings are read."""
    render = ImportVerdictsOperator.call

    def ended_meanwhile(self: Any, *arguments: Any) -> Any:
        self.on_kill()
        return render(self, *arguments)

    monkeypatch.setattr(ImportVerdictsOperator, "call", ended_meanwhile)
    assert run(ImportVerdictsOperator, urls="/nowhere.csv").state == "failed"
    assert not root.exists()


def test_the_update_and_its_record_are_those_of_the_run(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "verdicts.csv"
    file.write_text(f"sha256,verdict,reporter\n{SHA256},benign,analyst\n")
    ti = run(ImportVerdictsOperator, urls=str(file))
    uuid = corpus.contract.run_identity.run_uuid(ti.dag_id, ti.run_id)
    update = existing(Store(root), report(ti)["update"])
    assert update.id == corpus.contract.run_identity.update_id(ti.dag_run.run_after, uuid)
    assert update.record["run"] == {
        "dag_id": "one_import_verdicts",
        "run_id": ti.run_id,
        "run_uuid": uuid,
        "run_type": "manual",
        "triggered_by": update.record["run"]["triggered_by"],
        "task_id": "task",
        "map_index": -1,
        "try_number": 1,
        "task_instance_id": str(ti.id),
    }


def test_templates_keep_their_types(root: Path, tmp_path: Path) -> None:
    source = tmp_path / "it's a [source]"
    source.mkdir()
    for name in ("a.bin", "b.bin", "c.bin"):
        (source / name).write_bytes(name.encode())
    ti = run(
        CollectSamplesOperator,
        params={"sources": [], "limit": None, "rescan": False, "since": None, "update": "a"},
        conf={"sources": [str(source)], "limit": 2, "rescan": True, "update": "mine"},
        sources="{{ params.sources | tojson }}",
        limit="{{ params.limit }}",
        rescan="{{ params.rescan }}",
        since="{{ params.since }}",
        update_id="{{ params['update'] }}",
        settings={"shards.max_files": "{{ 1 }}", "sources.include": "{{ ['*.bin'] | tojson }}"},
    )
    assert ti.state == "success"
    found = report(ti)
    assert (found["update"], found["candidates"], found["over_limit"]) == ("mine", 2, 1)
    shards = pulled(ti, "return_value")
    assert shards == found["shards"]
    assert len(shards) == 2


def test_root_names_another_corpus(root: Path, tmp_path: Path) -> None:
    ti = run(
        CollectSamplesOperator,
        root=str(tmp_path / "other"),
        sources=str(airflow_home.REPO / "docs"),
    )
    assert ti.state == "success"
    assert (tmp_path / "other" / "staging").is_dir()
    assert not root.exists()


def test_bad_input_fails_at_once_and_names_the_place(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "verdicts.csv"
    file.write_text(f"sha256,verdict,reporter\n{SHA256},wicked,analyst\n")
    ti = run(ImportVerdictsOperator, urls=str(file), retries=5)
    assert (ti.state, ti.try_number) == ("failed", 1)
    seen = "".join(capfd.readouterr())
    assert "AirflowFailException" in seen
    assert f"BadInputError: {file}, row 1, field 'verdict'" in seen


def test_an_unknown_update_fails_at_once(root: Path) -> None:
    assert run(ValidateUpdateOperator, update_id="none-such", retries=5).state == "failed"


def test_a_setting_that_cannot_be_fails_at_once(root: Path) -> None:
    ti = run(ResolveLabelsOperator, settings={"labels.min_confidence": 7}, retries=5)
    assert ti.state == "failed"


def test_a_template_that_gives_nonsense_fails_at_once(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ti = run(CollectSamplesOperator, limit="{{ 'many' }}", retries=5)
    assert ti.state == "failed"
    assert "field 'limit': 'many' is not a whole number." in "".join(capfd.readouterr())


def test_a_passing_fault_is_tried_again(root: Path, tmp_path: Path) -> None:
    # A port that nobody listens at: the store is not there, for now.
    ti = run(
        CollectSamplesOperator,
        root="s3://nowhere/corpus",
        settings={
            "store.options": {"key": "k", "secret": "s", "endpoint_url": "http://127.0.0.1:9"}
        },
        sources=str(tmp_path),
        retries=1,
        retry_delay=timedelta(0),
    )
    assert (ti.state, ti.try_number) == ("failed", 2)


@pytest.mark.parametrize("operator", [IngestSamplesOperator, ExtractFeaturesOperator])
def test_an_update_without_shards_is_nothing_new(
    operator: type[CorpusOperator], root: Path
) -> None:
    ti = run(
        CollectSamplesOperator,
        sources=str(airflow_home.REPO / "tests" / "operators"),
        update_id="u",
    )
    assert ti.state == "success"
    assert run(operator, update_id="u").state in ("success", "skipped")


@pytest.mark.parametrize(("mode", "state"), [("stage", "skipped"), ("nonsense", "failed")])
def test_publish_does_as_its_mode_says(mode: str, state: str, root: Path) -> None:
    assert run(PublishSnapshotOperator, mode=mode).state == state
    assert not root.exists()


def test_nothing_secret_is_on_the_command_line(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CORPUS_SOURCES__ARCHIVE_PASSWORDS", json.dumps(["open sesame"]))
    assert run(CollectSamplesOperator, sources=str(tmp_path)).state == "success"
    assert "open sesame" not in "".join(capfd.readouterr())
