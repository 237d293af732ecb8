"""What the plugin registers, as Airflow sees it."""

from __future__ import annotations

import pytest
from airflow import plugins_manager
from airflow.sdk import DAG, BaseOperator

import corpus.contract.run_identity
from operators.ui.links import DataCardLink, card_url
from tests.support import airflow_home


class SayOperator(BaseOperator):
    template_fields = ("words",)

    def __init__(self, *, words: str, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.words = words

    def execute(self, context: object) -> str:
        self.log.info("I say %s", self.words)
        return self.words


def test_it_loads_without_a_complaint() -> None:
    plugins, errors = plugins_manager._get_plugins()
    assert errors == {}
    assert "corpus" in {plugin.name for plugin in plugins}


def test_the_link_is_known_to_the_web_server() -> None:
    links = plugins_manager.get_operator_extra_links()
    assert any(isinstance(link, DataCardLink) for link in links)


@pytest.mark.airflow
def test_the_macro_and_the_log_lines_have_the_runs_uuid(capfd: pytest.CaptureFixture[str]) -> None:
    with DAG("says") as dag:
        SayOperator(task_id="task", words="{{ macros.corpus.run_uuid(dag.dag_id, run_id) }}")
    dag_run = airflow_home.run_dag(dag)
    uuid = corpus.contract.run_identity.run_uuid("says", dag_run.run_id)
    said = [line for line in "".join(capfd.readouterr()).splitlines() if "I say" in line]
    assert len(said) == 1
    assert f"I say {uuid}" in said[0]
    assert f"run_uuid={uuid}" in said[0]


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://localhost:8080", "/corpus/cards/a%2Fb/"),
        ("https://team.example/airflow/", "/airflow/corpus/cards/a%2Fb/"),
    ],
)
def test_the_card_is_below_the_web_servers_own_path(
    base: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
    assert card_url("a/b") == url
