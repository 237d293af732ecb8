"""What a worker writes into Celery's database runs no code in the scheduler; states come through as before."""

from __future__ import annotations

import os
import pickle
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.celery.executors.celery_executor_utils import (
    BulkStateFetcher,
    fetch_celery_task_state,
)
from celery import Celery
from celery.result import AsyncResult

from deploy.container.results.backend import StateBackend
from deploy.container.results.configuration import with_states_only
from tests.support.airflow_home import REPO

STATES = {"started": "STARTED", "done": "SUCCESS", "failed": "FAILURE"}


class Forged:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.makedirs, (str(self.folder), 0o700, True)


def celerys(home: Path) -> Celery:
    """Celery as Airflow sets it up by itself."""
    return Celery("airflow", config_source={"result_backend": f"db+sqlite:///{home}/results.db"})


def ours(home: Path, **more: Any) -> Celery:
    address = f"db+sqlite:///{home}/results.db"
    return Celery("airflow", config_source=with_states_only({"result_backend": address, **more}))


def work(app: Celery) -> None:
    """Tell of three tasks what a worker tells."""
    for task in STATES:
        app.backend.mark_as_started(task, pid=1, hostname="worker")
    app.backend.mark_as_done("done", None)
    app.backend.mark_as_failure("failed", ValueError("what went wrong"), traceback="a traceback")


def look(app: Celery, *tasks: str) -> dict[str, str]:
    """The states as the scheduler learns them: many at once, and one by one."""
    results = [AsyncResult(task, app=app) for task in tasks]
    many = BulkStateFetcher(1, celery_app=app).get_many(results)
    found = {task: str(many[task][0]) for task in tasks}
    assert found == {
        task: fetch_celery_task_state(result)[1]
        for task, result in zip(tasks, results, strict=True)
    }
    return found


def forge(home: Path, state: str) -> Path:
    """Write a row as somebody with the worker's password may; the folder that its pickle would make."""
    made = home / "made"
    work(ours(home))
    with sqlite3.connect(home / "results.db") as database:
        database.execute(
            "insert into celery_taskmeta (task_id, status, result) values ('forged', ?, ?)",
            (state, pickle.dumps(Forged(made))),
        )
    return made


@pytest.mark.parametrize("more", [{}, {"result_extended": True}], ids=["plain", "extended"])
@pytest.mark.parametrize("state", ["SUCCESS", "FAILURE", "STARTED"])
def test_a_forged_row_runs_nothing_in_the_scheduler(
    state: str, more: dict[str, Any], tmp_path: Path
) -> None:
    made = forge(tmp_path, state)
    app = ours(tmp_path, **more)
    assert look(app, "forged") == {"forged": state}
    assert AsyncResult("forged", app=app).result is None
    assert not made.exists()


def test_the_same_row_runs_where_celery_itself_reads_it(tmp_path: Path) -> None:
    made = forge(tmp_path, "SUCCESS")
    look(celerys(tmp_path), "forged")
    assert made.is_dir()


def test_the_row_of_a_group_is_not_read_either(tmp_path: Path) -> None:
    made = forge(tmp_path, "SUCCESS")
    with sqlite3.connect(tmp_path / "results.db") as database:
        database.execute(
            "insert into celery_tasksetmeta (taskset_id, result) values ('forged', ?)",
            (pickle.dumps(Forged(made)),),
        )
    with pytest.raises(NotImplementedError, match="Only states of tasks are kept"):
        ours(tmp_path).GroupResult.restore("forged")
    assert not made.exists()


@pytest.mark.parametrize(
    ("writer", "reader"), [(ours, ours), (celerys, ours), (ours, celerys)],
    ids=["new", "an older worker", "an older scheduler"],
)  # fmt: skip
def test_states_come_through_while_hosts_are_upgraded(
    writer: Any, reader: Any, tmp_path: Path
) -> None:
    work(writer(tmp_path))
    assert look(reader(tmp_path), *STATES, "unknown") == {**STATES, "unknown": "PENDING"}


def test_nothing_but_the_state_is_kept(tmp_path: Path) -> None:
    work(ours(tmp_path))
    with sqlite3.connect(tmp_path / "results.db") as database:
        rows = database.execute("select status, result, traceback from celery_taskmeta order by id")
        assert rows.fetchall() == [(state, None, None) for state in STATES.values()]


def test_airflow_takes_it_by_the_setting_of_the_compose_file(tmp_path: Path) -> None:
    """In both places where Airflow makes a Celery: the module's, and the executor's."""
    compose = (REPO / "docker" / "compose.yaml").read_text()
    named = "AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS: deploy.container.results.configuration.CONFIG"
    assert named in compose
    variable, _, value = named.partition(": ")
    code = (
        "from airflow.configuration import conf\n"
        "from airflow.providers.celery.executors import celery_executor_utils as utils\n"
        "for app in (utils.app, utils.create_celery_app(conf)):\n"
        "    print(type(app.backend).__name__, app.backend.url)"
    )
    environment = {
        **os.environ,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+sqlite:///{tmp_path}/results.db",
        variable: value,
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=REPO, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    line = f"{StateBackend.__name__} sqlite:///{tmp_path}/results.db"
    assert done.stdout.splitlines()[-2:] == [line, line]


def test_results_elsewhere_than_in_a_database_are_left_as_they_are() -> None:
    redis = {"result_backend": "redis://127.0.0.1:1/0", "result_serializer": "json"}
    assert with_states_only(redis) == redis
