"""How the parts of the embedded Airflow are started: at once, from one process that has loaded Airflow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.embedded.environment import REPO
from deploy.local.embedded.server import EmbeddedAirflow

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]


def test_a_database_that_cannot_be_used_ends_the_start_and_the_log_says_why(tmp_path: Path) -> None:
    airflow = EmbeddedAirflow(tmp_path / "work")
    airflow.home.mkdir(parents=True)
    (airflow.home / "airflow.db").write_bytes(b"not SQLite's " * 1000)
    (tmp_path / "samples").mkdir()
    (tmp_path / "verdicts").mkdir()
    inputs = [f"--{name}={tmp_path / name}" for name in ("samples", "verdicts")]
    done = subprocess.run(
        [sys.executable, "-m", "deploy.local.embedded", f"--work={airflow.work}", *inputs, "up"],
        cwd=REPO,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"Airflow stopped with status 1; see {airflow.log}." in done.stderr
    assert airflow.leftovers() == 0
    lines = airflow.log.read_text().splitlines()
    assert any("file is not a database" in line for line in lines)
    assert all(line.startswith("database ") for line in lines if "not a database" in line)
