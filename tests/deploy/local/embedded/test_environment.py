"""What the embedded Airflow gets of the shell that starts it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from corpus.errors import BadSettingError
from deploy.local.embedded.environment import MARK, environment
from deploy.local.variables import MADE, remarks
from operators.settings import WorkerSettings

pytestmark = pytest.mark.fast

FOREIGN = {
    "AIRFLOW_HOME": "/elsewhere",
    "AIRFLOW_CONFIG": "/elsewhere/airflow.cfg",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://other",
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": "[]",
    "AIRFLOW__CORE__DEFAULT_TIMEZONE": "Asia/Tokyo",
    "AIRFLOW__CORE__AUTH_MANAGER": "other.Manager",
    "AIRFLOW_CONN_SOMETHING": "http://other",
    "AIRFLOW_VAR_SOMETHING": "1",
}


def made(shell: dict[str, str], **settings: object) -> dict[str, str]:
    return environment(
        Path("/some/airflow"), Path("/some/corpus.toml"), 8080, shell,
        WorkerSettings.load(settings),
    )  # fmt: skip


def test_nothing_of_another_airflow_gets_in():
    found = made({**FOREIGN, "PATH": "/bin", "TERM": "dumb"})
    assert found["AIRFLOW_HOME"] == "/some/airflow"
    assert not (FOREIGN.keys() - {"AIRFLOW_HOME"}) & found.keys()
    assert found["TERM"] == "dumb"


def test_what_is_used_and_what_is_not_is_said():
    shell = {**FOREIGN, "CORPUS_SHARDS__MAX_FILES": "7", "CORPUS_SHARDS__WORKERS": "9"}
    used, unused = remarks(shell)
    assert "CORPUS_SHARDS__MAX_FILES" in used
    assert "CORPUS_SHARDS__WORKERS" not in used
    for name in (*FOREIGN, "CORPUS_SHARDS__WORKERS"):
        assert name in unused
    assert "postgresql://other" not in unused
    assert made(shell)["CORPUS_SHARDS__MAX_FILES"] == "7"
    assert made(shell)["CORPUS_SHARDS__WORKERS"] != "9"
    assert remarks({"PATH": "/bin"}) == []


def test_what_the_start_sets_itself_is_named():
    """Whoever says it must know without what a start needs."""
    assert {n for n in made({}) if n.startswith("CORPUS_")} == {*MADE, MARK}


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_loopback_goes_through_no_proxy(name):
    found = made({"http_proxy": "http://proxy:3128", name: "example.org"})
    assert found["http_proxy"] == "http://proxy:3128"
    assert made({"no_proxy": "a", "NO_PROXY": "b"})["no_proxy"].startswith("a,b,127.0.0.1")
    assert made({"no_proxy": "*"})["NO_PROXY"] == "*"
    for variable in ("no_proxy", "NO_PROXY"):
        assert found[variable].split(",") == ["example.org", "127.0.0.1", "localhost", "::1"]


@pytest.mark.parametrize("host", ["[::1]", "[fd00::1]:8080", "fd00::/8"])
def test_what_airflows_client_fails_on_is_left_out(host: str, monkeypatch: pytest.MonkeyPatch):
    found = made({"http_proxy": "http://proxy:3128", "no_proxy": f"a.example,{host}"})["no_proxy"]
    assert found == "a.example,127.0.0.1,localhost,::1"
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", host)
    with pytest.raises(httpx.InvalidURL):
        httpx.Client()
    monkeypatch.setenv("no_proxy", found)
    httpx.Client().close()


def test_a_c_locale_makes_no_file_name_unreadable():
    assert made({"LC_ALL": "C", "PYTHONUTF8": "0"})["PYTHONUTF8"] == "1"


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [("graphite:8125", "graphite", "8125"), ("[::1]:8125", "::1", "8125")],
)
def test_metrics_and_the_format_of_logs_have_settings(given, host, port):
    found = made({}, metrics={"statsd": given, "prefix": "mine"}, logs={"json_lines": True})
    assert found["AIRFLOW__METRICS__STATSD_ON"] == "True"
    assert found["AIRFLOW__METRICS__STATSD_HOST"] == host
    assert found["AIRFLOW__METRICS__STATSD_PORT"] == port
    assert found["AIRFLOW__METRICS__STATSD_PREFIX"] == "mine"
    assert found["AIRFLOW__LOGGING__JSON_LOGS"] == "True"
    assert "AIRFLOW__METRICS__STATSD_ON" not in made({})


@pytest.mark.parametrize("given", ["graphite", "graphite:", ":8125", "a b:1", "::1:8125"])
def test_an_address_without_host_or_port_is_refused(given):
    with pytest.raises(BadSettingError) as caught:
        WorkerSettings.load({"metrics": {"statsd": given}})
    assert caught.value.field == "metrics.statsd"


def test_nobody_elses_program_is_asked_for_logs():
    """There are no log servers, and none can be put in their place but by root."""
    for name in ("WORKER", "TRIGGER"):
        assert int(made({})[f"AIRFLOW__LOGGING__{name}_LOG_SERVER_PORT"]) < 1024
