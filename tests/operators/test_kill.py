"""Whatever ends a task, nothing that it started lives on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from airflow.sdk import DAG

from operators import ImportVerdictsOperator
from tests import airflow_home

pytestmark = pytest.mark.airflow


@pytest.fixture
def silence() -> Iterator[str]:
    """Address of a web server that takes a request and never answers: a service waits there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/verdicts.csv"


def wait_for(condition: Callable[[], bool], seconds: float = 90) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def family(parent: int) -> list[psutil.Process]:
    """The guard and the service below a task's process."""
    try:
        children = psutil.Process(parent).children(recursive=True)
        return [child for child in children if "import-verdicts" in child.cmdline()]
    except psutil.NoSuchProcess:
        return []


TASK = """
import sys
from tests import airflow_home
from airflow.sdk import DAG
from operators import ImportVerdictsOperator
with DAG("killed") as dag:
    ImportVerdictsOperator(task_id="task", urls=sys.argv[1])
ti = airflow_home.run_dag(dag).get_task_instance("task")
print("state", ti.state)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_task_leaves_nothing(number: signal.Signals, silence: str, tmp_path: Path) -> None:
    """TERM is what Airflow sends when a task is marked failed or cleared: it calls `on_kill`."""
    task = subprocess.Popen(
        [sys.executable, "-c", TASK, silence],
        cwd=airflow_home.REPO,
        env={**os.environ, "CORPUS_STORE__ROOT": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert wait_for(lambda: len(family(task.pid)) == 2 and waits(family(task.pid)))
    members = family(task.pid)
    task.send_signal(number)
    out, _ = task.communicate(timeout=90)
    assert wait_for(lambda: not any(member.is_running() for member in members))
    if number == signal.SIGTERM:
        assert out.splitlines()[-1] == "state failed"


def waits(members: list[psutil.Process]) -> bool:
    """Whether the service is as far as to wait for the server."""
    try:
        return any(
            connection.raddr for member in members for connection in member.net_connections()
        )
    except psutil.NoSuchProcess:
        return False


def test_a_task_beyond_its_time_leaves_nothing(
    silence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORPUS_STORE__ROOT", str(tmp_path))
    with DAG("beyond_its_time") as dag:
        ImportVerdictsOperator(task_id="task", urls=silence, execution_timeout=timedelta(seconds=3))
    ti = airflow_home.run_dag(dag).get_task_instance("task")
    assert ti.state == "failed"
    assert family(os.getpid()) == []
