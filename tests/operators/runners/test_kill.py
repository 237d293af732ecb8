"""Whatever ends a task, nothing that it started lives on."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import IO

import psutil
import pytest
from airflow.sdk import DAG

from operators import ImportVerdictsOperator
from tests.support import airflow_home

pytestmark = pytest.mark.airflow


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a web server that takes a request and never answers: a service waits there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/verdicts.csv"
        monkeypatch.setenv("CORPUS_PLACES__ROOTS", json.dumps([url]))
        yield url


def wait_for(condition: Callable[[], bool], seconds: float = 90) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def family(parent: int) -> list[psutil.Process]:
    """The supervisor and the service below a task's process."""
    try:
        children = psutil.Process(parent).children(recursive=True)
        return [child for child in children if "import-verdicts" in child.cmdline()]
    except psutil.NoSuchProcess:
        return []


TASK = """
import sys
from tests.support import airflow_home
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


CHATTY = """
import sys
import operators.base
from tests.support import airflow_home
from airflow.sdk import DAG
from operators import ResolveLabelsOperator
from operators.runners.process import ProcessRunner
runner = ProcessRunner([sys.executable, "-c", "while True: print('x' * 1000)", "chatty"])
operators.base.get_runner = lambda *_: runner
with DAG("chatty") as dag:
    ResolveLabelsOperator(task_id="task")
ti = airflow_home.run_dag(dag).get_task_instance("task")
print("state", ti.state)
"""


def test_a_task_is_ended_in_the_middle_of_writing_a_line(tmp_path: Path) -> None:
    """A log is locked while a line is written, so that who waits for the lock in a signal handler
    waits for ever.
    """
    task = subprocess.Popen(
        [sys.executable, "-c", CHATTY],
        cwd=airflow_home.REPO,
        env={**os.environ, "CORPUS_STORE__ROOT": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert task.stdout is not None
    try:
        # Nobody reads its output, so sooner or later it is in the middle of a line, and stays there.
        assert wait_for(lambda: full(task.stdout))
        task.send_signal(signal.SIGTERM)
        assert wait_for(lambda: not services(task.pid), 30)
        out, _ = task.communicate(timeout=90)
    finally:
        task.kill()
        task.communicate()
    assert out.splitlines()[-1] == "state failed"


def full(pipe: IO[str] | None) -> bool:
    """Whether a pipe takes no more: half of it at least, and nothing has come for a second."""
    assert pipe is not None
    before = waiting(pipe)
    time.sleep(1)
    return 32_768 < before == waiting(pipe)


def waiting(pipe: IO[str]) -> int:
    """Bytes in a pipe that nobody has read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def services(parent: int) -> list[psutil.Process]:
    """The chatty one and its supervisor, as long as they run."""
    children = psutil.Process(parent).children(recursive=True)
    running = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in running if "chatty" in child.cmdline()]


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
