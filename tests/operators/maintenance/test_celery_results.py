"""Old results go from a real database of Celery's, and those of today stay."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("airflow") is None, reason="Airflow is not installed here"
)

# Two results, one of them made 40 days ago; with a word, what is left.
STORED = """
import datetime, json, sys
from airflow.providers.celery.executors.celery_executor_utils import app
backend = app.backend
session = backend.ResultSession()
if len(sys.argv) > 1:
    print(json.dumps([row.task_id for row in session.query(backend.task_cls)]))
    sys.exit()
for name in ("old", "new"):
    backend.store_result(name, None, "SUCCESS")
row = session.query(backend.task_cls).filter_by(task_id="old").one()
row.date_done -= datetime.timedelta(days=40)
session.commit()
"""


def run(home: Path, *words: str, backend: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CELERY__RESULT_BACKEND": backend or f"db+sqlite:///{home}/results.db",
        "PYTHONPATH": str(REPO),
    }
    return subprocess.run(
        [sys.executable, *words], env=environment, cwd=home, capture_output=True, text=True
    )


def test_old_results_go(tmp_path: Path) -> None:
    stored = run(tmp_path, "-c", STORED)
    assert stored.returncode == 0, stored.stderr
    command = ("-m", "operators.maintenance.celery_results", "--days", "30")
    told = [
        run(tmp_path, *command, *more).stdout.splitlines()[-1] for more in (("--dry-run",), (), ())
    ]
    head = "Results of Celery's tasks older than 30 days:"
    assert told == [f"{head} {rest}." for rest in ("1 would be removed", "1 removed", "0 removed")]
    left = run(tmp_path, "-c", STORED, "left").stdout.splitlines()[-1]
    assert json.loads(left) == ["new"]


def test_what_cannot_be_reached_is_a_failure(tmp_path: Path) -> None:
    nowhere = f"db+sqlite:///{tmp_path}/nowhere/results.db"
    done = run(
        tmp_path, "-m", "operators.maintenance.celery_results", "--days", "30", backend=nowhere
    )
    assert done.returncode == 1
    assert "unable to open database file" in done.stderr


def test_results_that_may_still_be_read_stay(tmp_path: Path) -> None:
    done = run(tmp_path, "-m", "operators.maintenance.celery_results", "--days", "0")
    assert done.returncode == 2
    assert "--days is 1 to 36500" in done.stderr


def test_another_backend_has_nothing_to_clean(tmp_path: Path) -> None:
    redis = "redis://127.0.0.1:1/0"
    done = run(
        tmp_path, "-m", "operators.maintenance.celery_results", "--days", "30", backend=redis
    )
    assert (done.returncode, "are in no database" in done.stdout) == (0, True), done.stderr
