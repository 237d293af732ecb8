"""How the parts of the embedded Airflow are started: at once, from one process that has loaded Airflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.common.errors import StartError
from deploy.local.embedded.server import EmbeddedAirflow

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]


def test_a_database_that_cannot_be_used_ends_the_start_and_the_log_says_why(tmp_path: Path) -> None:
    airflow = EmbeddedAirflow(tmp_path)
    airflow.home.mkdir()
    airflow.config.touch()
    (airflow.home / "airflow.db").write_bytes(b"not SQLite's " * 1000)
    with pytest.raises(StartError, match="stopped with status 1; see "):
        airflow.start()
    assert airflow.leftovers() == 0
    lines = airflow.log.read_text().splitlines()
    assert any("file is not a database" in line for line in lines)
    assert all(line.startswith("database ") for line in lines if "not a database" in line)
