"""Reading the DAG files is light: it loads nothing that reads data, nor do plugins."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support import airflow_home

HEAVY = ("deltalake", "lief", "numpy", "polars", "pyarrow")
LOAD = f"""
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
from airflow.plugins_manager import get_import_errors

bag = DagBag(Path(sys.argv[1]), safe_mode=False)
errors = {{**bag.import_errors, **get_import_errors()}}
assert not errors, errors
heavy = [name for name in {HEAVY!r} if name in sys.modules]
ours = [name for name in sys.modules if name.partition(".")[0] in ("corpus", "operators")]
print(json.dumps([len(bag.dags), heavy, ours]))
"""


def loaded(dags: Path) -> tuple[int, set[str], set[str]]:
    """How many DAGs there are, and which heavy modules and which of ours a process has then."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(dags)],
        cwd=airflow_home.REPO, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    count, heavy, ours = json.loads(done.stdout.splitlines()[-1])
    return count, set(heavy), set(ours)


def test_dag_files_and_plugins_load_nothing_that_reads_data(tmp_path: Path) -> None:
    (tmp_path / "empty.py").touch()
    none, of_airflow, _ = loaded(tmp_path)
    count, heavy, ours = loaded(airflow_home.REPO / "dags")
    assert (none, count) == (0, 10)
    assert "operators.scheduling.params" in ours
    # What Airflow or a provider brings by itself is not ours to judge.
    assert heavy <= of_airflow
    assert not {name for name in ours if name.startswith(("corpus.services", "corpus.store"))}
