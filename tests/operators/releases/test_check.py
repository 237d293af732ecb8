"""Whether DAGs load is found out in a process of its own, by Airflow, without its database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[3]

GOOD = """
from airflow.sdk import dag, task

@dag(dag_id="good")
def good():
    @task
    def one(): ...
    one()

good()
"""
# It imports, and no other process would know its timetable.
NOT_SERIALIZED = """
from airflow.sdk import DAG
from airflow.timetables.trigger import CronTriggerTimetable

class Mine(CronTriggerTimetable): ...

dag = DAG("odd", schedule=Mine("@daily", timezone="UTC"))
"""


def check(folder: Path, tmp_path: Path, plugins: Path | None = None) -> tuple[int, dict[str, Any]]:
    """Exit status, and what was printed last."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPO),
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins or tmp_path / "none"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "operators.releases.check", str(folder)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout, done.stderr
    assert not list((tmp_path / "home").glob("*.db"))
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def test_the_bundle_s_own_dags_load(tmp_path: Path):
    status, found = check(REPO / "dags", tmp_path, REPO / "plugins")
    assert (status, found["errors"]) == (0, {})
    assert "corpus_update" in found["dags"]


def test_each_file_that_does_not_load_is_named(tmp_path: Path):
    dags, plugins = tmp_path / "dags", tmp_path / "plugins"
    (dags / "more").mkdir(parents=True)
    plugins.mkdir()
    (dags / "good.py").write_text(GOOD)
    (dags / "odd.py").write_text(NOT_SERIALIZED)
    # No word in it makes it look like a DAG's file.
    (dags / "more" / "helper.py").write_text("import nothing_of_that_name\n")
    (plugins / "broken.py").write_text("raise ValueError('a broken plugin')\n")
    status, found = check(dags, tmp_path, plugins)
    assert status == 1
    assert found["dags"] == ["good"]
    assert "nothing_of_that_name" in found["errors"].pop("more/helper.py")
    assert "odd cannot be serialized: " in found["errors"].pop("odd.py")
    ((plugin, message),) = found["errors"].items()
    assert plugin.startswith("plugin ")
    assert "a broken plugin" in message


def test_a_folder_without_a_dag_is_no_success(tmp_path: Path):
    (tmp_path / "dags").mkdir()
    assert check(tmp_path / "dags", tmp_path) == (1, {"dags": [], "errors": {}})


@pytest.mark.parametrize("words", [[], ["/nowhere"], [".", "."]])
def test_a_wrong_argument_is_told(words: list[str], capsys: pytest.CaptureFixture[str]):
    from operators.releases.check import main

    assert main(words) == 2
    assert "usage: " in capsys.readouterr().err
