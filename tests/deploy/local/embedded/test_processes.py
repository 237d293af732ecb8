"""Which parts of an embedded Airflow are alive, by the processes that there are."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.embedded.environment import MARK
from deploy.local.embedded.server import EmbeddedAirflow, Running

pytestmark = pytest.mark.fast

# As they call themselves.
TITLES = {
    "parent": "/venv/bin/python -m deploy.local.embedded.parts",
    "scheduler": "airflow scheduler",
    "dag_processor": "airflow dag-processor",
    "api_server": "airflow api_server -- host:127.0.0.1 port:8080",
    "triggerer": "airflow triggerer",
}


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """A process for each part, of the Airflow in `tmp_path`."""
    mark = {MARK: str(tmp_path / "airflow")}
    started = {
        part: subprocess.Popen([title, "60"], executable="/bin/sleep", env=mark)
        for part, title in TITLES.items()
    }
    yield started
    for process in started.values():
        process.kill()
        process.wait()


@pytest.mark.parametrize("part", TITLES)
def test_a_part_that_has_ended_is_named_at_once(tmp_path, parts, part):
    airflow = EmbeddedAirflow(tmp_path)
    running = Running(parts["parent"].pid, port=1)
    assert airflow.dead() == []
    assert airflow.ailing(running) == "its API does not answer"
    parts[part].kill()
    parts[part].wait()
    assert airflow.dead() == [part]
    # Airflow itself counts it as well for another half a minute.
    assert airflow.ailing(running) == f"no process: {part}"
