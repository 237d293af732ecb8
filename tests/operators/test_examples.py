"""The examples of the documentation run as they stand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent, AssetModel
from airflow.sdk import DAG
from airflow.utils.session import create_session
from sqlalchemy import select

from corpus.store.object_store import Store
from corpus.store.snapshots import Snapshot
from tests.support import airflow_home

pytestmark = pytest.mark.airflow
EXAMPLES = airflow_home.REPO / "docs" / "examples"


def load(name: str) -> DAG:
    bag = DagBag(EXAMPLES / f"{name}.py")
    assert bag.import_errors == {}
    return bag.dags[name]


def test_every_example_is_run() -> None:
    # The last is no DAG: tests/docs runs it.
    assert {file.stem for file in EXAMPLES.glob("*.py")} == {
        "how_much_is_new",
        "verdicts_of_a_team",
        "train_lightgbm",
    }


def test_how_much_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORPUS_STORE__ROOT", str(tmp_path / "corpus"))
    monkeypatch.setenv("CORPUS_PLACES__ROOTS", json.dumps([str(tmp_path)]))
    source = tmp_path / "source"
    source.mkdir()
    for name in ("a", "b"):
        (source / name).write_text(name)
    dag_run = airflow_home.run_dag(load("how_much_is_new"), {"source": str(source)})
    assert dag_run.state == "success"
    assert dag_run.get_task_instance("say").xcom_pull(task_ids="say") == 2


def test_verdicts_of_a_team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORPUS_PLACES__ROOTS", json.dumps([str(tmp_path)]))
    verdicts = tmp_path / "verdicts.csv"
    verdicts.write_text(f"sha256,verdict,reporter\n{'ab' * 32},malicious,analyst\n")
    root = tmp_path / "corpus"
    dag_run = airflow_home.run_dag(
        load("verdicts_of_a_team"), {"verdicts": [str(verdicts)], "root": str(root)}
    )
    assert dag_run.state == "success"
    snapshot = Snapshot.open(Store(root))
    assert snapshot.scan("verdicts", ["verdict"])["verdict"].to_pylist() == ["malicious"]
    with create_session() as session:
        event = session.scalars(
            select(AssetEvent)
            .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
            .where(AssetModel.name == "experiment_snapshot")
        ).one()
        assert event.extra["snapshot"] == snapshot.id
