"""A real Airflow for tests: a home of its own with an SQLite database, made before Airflow loads.

A conftest.py imports this before a test imports Airflow; its fixture `airflow_db` makes the database.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.models import DagRun
    from airflow.sdk import DAG

REPO = Path(__file__).resolve().parents[2]
if inherited := os.environ.get("CORPUS_TEST_AIRFLOW_HOME"):
    HOME = Path(inherited)
else:
    HOME = Path(tempfile.mkdtemp(prefix="corpus-airflow-"))
    atexit.register(shutil.rmtree, HOME, ignore_errors=True)
    # For the processes that tests start.
    os.environ["CORPUS_TEST_AIRFLOW_HOME"] = str(HOME)

_LOCAL = "airflow.dag_processing.bundles.local.LocalDagBundle"
# `tests` owns the DAGs that tests make up; its folder stays empty.
_BUNDLES = {"dags-folder": REPO / "dags", "tests": HOME / "dags"}
_BUNDLES["tests"].mkdir(exist_ok=True)

ENVIRONMENT = {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(REPO / "dags"),
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
        [
            {"name": name, "classpath": _LOCAL, "kwargs": {"path": str(path)}}
            for name, path in _BUNDLES.items()
        ]
    ),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPO / "plugins"),
    "AIRFLOW__CORE__AUTH_MANAGER": (
        "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
    ),
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "reader:viewer",
    "AIRFLOW__API_AUTH__JWT_SECRET": "only-for-tests-" * 5,
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
}
os.environ.update(ENVIRONMENT)


def migrate() -> None:
    """Make the database, once a session."""
    if not (HOME / "airflow.db").exists():
        subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True
        )


def run_dag(dag: DAG, conf: dict[str, Any] | None = None) -> DagRun:
    """Run all tasks of a DAG in this process, as `airflow dags test` does."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]
    bag = DagBag(_BUNDLES["tests"])
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "tests", None)
    run: DagRun = dag.test(run_conf=conf)
    return run
