"""The master DAG: its shape, its form, and whole updates of a real corpus."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError
from airflow.utils.session import create_session
from sqlalchemy import select

from corpus.snapshots.verify import verify
from corpus.store.object_store import Store
from corpus.store.snapshots import Snapshot
from tests.support import airflow_home

# Whole updates, on a machine that may be busy.
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


def load() -> DAG:
    """The DAG, anew: resolving a param or a run in this process leaves its values in it."""
    dag = DagBag(airflow_home.REPO / "dags" / "corpus_update.py").dags["corpus_update"]
    # DAG.test() of Airflow 3.3 stumbles over the alerts of a serialized DAG; a scheduler does not.
    dag.deadline = []
    return dag


@pytest.fixture
def dag() -> DAG:
    return load()


def test_it_is_one_chain(dag: DAG) -> None:
    after = {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}
    assert after == {
        "collect": ["extract", "ingest"],
        "ingest": ["extract", "label"],
        "import_verdicts": ["label"],
        "extract": ["group"],
        "group": ["split"],
        "label": ["split"],
        "split": ["validate"],
        "validate": ["publish"],
        "publish": [],
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sources", "/one/text"),
        ("sources", [""]),
        ("sources", [" /leading/space"]),
        ("since", "yesterday"),
        ("until", "2025-02-30"),
        ("file_types", ["exe"]),
        ("limit", -1),
        ("limit", "3"),
        ("limit", 1.5),
        ("limit", 2**70),
        ("malicious_threshold", 2**70),
        ("min_report_age_days", 2**70),
        ("rescan", "yes"),
        ("feature_sets", ["none-such-v1"]),
        ("feature_sets", ["basic-v1", 3]),
        ("feature_sets", "basic-v1"),
        ("re_extract", "yes"),
        ("re_extract", 1),
        ("malicious_threshold", 0),
        ("min_report_age_days", -1),
        ("mode", "perhaps"),
        ("note", "x" * 501),
    ],
)
def test_the_form_refuses_nonsense(name: str, value: Any, dag: DAG) -> None:
    with pytest.raises(ParamValidationError):
        dag.params.get_param(name).resolve(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sources", ["/srv/samples", "s3://bucket/day=1/"]),
        ("since", "2025-02-28"),
        ("until", None),
        ("file_types", ["pe", "elf"]),
        ("limit", 0),
        ("feature_sets", ["basic-v1", "ember-v3"]),
        ("re_extract", True),
        ("malicious_threshold", 3),
        ("min_report_age_days", 0),
        ("mode", "stage"),
        ("note", None),
    ],
)
def test_the_form_takes_sense(name: str, value: Any, dag: DAG) -> None:
    assert dag.params.get_param(name).resolve(value) == value


class Corpus:
    """A corpus of its own, fed from a folder of real executables."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch):
        self.samples, self.verdicts = folder / "samples", folder / "verdicts"
        self.samples.mkdir()
        self.verdicts.mkdir()
        self.store = Store(folder / "corpus")
        patch.setenv("CORPUS_STORE__ROOT", str(folder / "corpus"))
        patch.setenv("CORPUS_SOURCES__URLS", json.dumps([str(self.samples)]))
        feeds = [{"place": str(self.verdicts), "reporter": "*"}]
        patch.setenv("CORPUS_VERDICTS__FEEDS", json.dumps(feeds))

    def update(self, **conf: Any) -> dict[str, list[str]]:
        """States of each task's instances, after a run that has to succeed."""
        dag_run = load().test(run_conf=conf)
        assert dag_run
        states: dict[str, list[str]] = {}
        for ti in dag_run.get_task_instances():
            states.setdefault(ti.task_id, []).append(ti.state)
        assert dag_run.state == "success", states
        return states

    @property
    def latest(self) -> Snapshot:
        return Snapshot.open(self.store)


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    return Corpus(tmp_path, monkeypatch)


def launchers() -> list[Path]:
    """Small real PE files: those that pip starts scripts with on Windows."""
    spec = find_spec("pip._vendor.distlib")
    assert spec
    assert spec.origin
    return sorted(Path(spec.origin).parent.glob("*.exe"))


def test_an_empty_day_is_a_success_that_publishes_nothing(corpus: Corpus) -> None:
    states = corpus.update()
    assert states["ingest"] == states["extract"] == states["publish"] == ["skipped"]
    assert Snapshot.latest(corpus.store).id is None


@pytest.mark.timeout(1200)
def test_updates_from_nothing_to_a_third_snapshot(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Two shards, and a note that looks like a template.
    for launcher in launchers()[:2]:
        shutil.copy(launcher, corpus.samples)
    monkeypatch.setenv("CORPUS_SHARDS__MAX_FILES", "1")
    states = corpus.update(note="{{ 1 + 1 }} 'files'")
    assert states["ingest"] == states["extract"] == ["success", "success"]
    one = corpus.latest
    assert one.manifest["counts"]["samples"] == 2
    assert one.manifest["note"] == "{{ 1 + 1 }} 'files'"
    assert one.manifest["run"]["dag_id"] == "corpus_update"
    with create_session() as session:
        event = session.scalars(select(AssetEvent).order_by(AssetEvent.id.desc())).first()
        assert event
        assert event.extra["snapshot"] == one.id
        assert event.extra["card"] == f"/corpus/cards/{one.id}/"

    # A late verdict, and a file of a type not asked for: a dry run judges, and publishes nothing.
    sha256 = one.scan("samples", ["sha256"])["sha256"][0].as_py()
    (corpus.verdicts / "a.csv").write_text(f"sha256,verdict,reporter\n{sha256},malicious,analyst\n")
    shutil.copy("/bin/true", corpus.samples)
    states = corpus.update(mode="dry-run", file_types=["pe"])
    assert (states["validate"], states["publish"]) == (["success"], ["skipped"])
    assert corpus.latest.id == one.id

    # The verdict alone makes a snapshot.
    assert corpus.update(file_types=["pe"])["publish"] == ["success"]
    two = corpus.latest
    assert two.manifest["parent"] == one.id
    assert two.manifest["counts"]["samples"] == 2
    assert two.manifest["counts"]["labels"]["malicious"] == 1

    # The file was left for another update. Every task of it has the same settings.
    capfd.readouterr()
    corpus.update(feature_sets=["basic-v1"], malicious_threshold=3)
    assert corpus.latest.manifest["counts"]["file_types"] == {"elf": 1, "pe": 2}
    overrides = """--set 'features.sets=["basic-v1"]' --set verdicts.malicious_threshold=3"""
    calls = [line for line in "".join(capfd.readouterr()).splitlines() if overrides in line]
    assert len(calls) == len(load().tasks)

    # And now there is nothing more.
    assert corpus.update()["publish"] == ["skipped"]
    assert corpus.latest.sequence == 3


@pytest.mark.timeout(1200)
def test_a_run_re_extracts_the_corpus_under_another_set(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORPUS_SHARDS__MAX_FILES", "1")
    for launcher in launchers()[:2]:
        shutil.copy(launcher, corpus.samples)
    corpus.update()
    one = corpus.latest
    assert set(one.feature_sets) == {"basic-v1"}
    shutil.copy("/bin/true", corpus.samples)

    # Only what is known, in one shard a sample. The runs after it: tests/corpus/services/extract/test_re_extract.py.
    # 0.0 is 0: the schema of the form takes it, and so do the tasks.
    form = {"feature_sets": ["basic-v1", "ember-v3"], "re_extract": True, "limit": 0.0}
    states = corpus.update(**form)
    assert states["extract"] == states["ingest"] == ["success", "success"]
    two = corpus.latest
    assert two.manifest["parent"] == one.id
    assert two.manifest["counts"]["vectors"] == {"basic-v1": 2, "ember-v3": 2}
    for table, entry in one.manifest["tables"].items():
        assert two.manifest["tables"][table] == entry
    assert verify(corpus.store, one.id).ok
    assert verify(corpus.store, two.id).ok
