"""One Airflow on this machine: its environment, its start, and a stop that leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from deploy.common import atomic
from deploy.common.errors import StartError

REPO = Path(__file__).resolve().parents[3]
MARK = "CORPUS_EMBEDDED"
START_SECONDS = 180


@dataclass(frozen=True)
class Running:
    """An Airflow that was started: process id of its group's leader, and where it listens."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class EmbeddedAirflow:
    """The Airflow of one work folder; its home is `<work>/airflow`."""

    def __init__(self, work: Path):
        self.work = work.resolve()
        self.home = self.work / "airflow"
        self.log = self.home / "standalone.log"
        self.state = self.home / "running.json"
        self.config = self.work / "corpus.toml"

    def environment(self, port: int) -> dict[str, str]:
        worker_logs, trigger_logs = free_port(), free_port()
        tasks = max(2, os.cpu_count() or 2)
        bundle = (
            f"{REPO}{os.pathsep}{os.environ['PYTHONPATH']}"
            if "PYTHONPATH" in os.environ
            else str(REPO)
        )
        return {
            **os.environ,
            MARK: str(self.home),
            # Or else Airflow's process titles overwrite the environment that the mark is read from.
            "SPT_NOENV": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONPATH": bundle,
            "CORPUS_CONFIG": str(self.config),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPO / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPO / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            # A worker often sees the end of its task's process only at its next heartbeat, so some
            # more are ready to take the next task: never more of them at work than there are cores.
            "AIRFLOW__CORE__PARALLELISM": str(4 * tasks),
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(tasks),
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "CORPUS_SHARDS__WORKERS": str(tasks),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }

    # Start and stop

    def running(self) -> Running | None:
        """What `start` recorded, where it is still alive."""
        try:
            found = Running(**json.loads(self.state.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return found if found.pid in set(self._processes()) else None

    def start(self) -> Running:
        """Start, and wait until the parts that matter are healthy. Raises `StartError`."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.stop()  # what an earlier, killed run may have left
        port = free_port()
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "airflow", "standalone"],
                cwd=self.home,
                env=self.environment(port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started = Running(process.pid, port)
        atomic.write(self.state, json.dumps(asdict(started)))
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise StartError(
                    f"Airflow stopped with status {process.returncode}; see {self.log}."
                )
            if self._healthy(started):
                return started
            time.sleep(0.5)
        raise StartError(f"Airflow was not healthy after {START_SECONDS} s; see {self.log}.")

    def _healthy(self, running: Running) -> bool:
        try:
            parts = httpx.get(f"{running.url}/api/v2/monitor/health", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return False
        wanted = ("metadatabase", "scheduler", "dag_processor")
        return all(parts.get(part, {}).get("status") == "healthy" for part in wanted)

    def stop(self, patience: float = 20.0) -> bool:
        """Stop every process that this Airflow started, children of children too."""
        found = set(self._processes())
        stopped = bool(found)
        for number, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
            signalled: set[int] = set()
            deadline = time.monotonic() + wait
            while found and time.monotonic() < deadline:
                # Also those that were forked since the last look.
                for pid in found - signalled:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                signalled |= found
                time.sleep(0.2)
                _reap(found)
                found = set(self._processes())
        self.state.unlink(missing_ok=True)
        return stopped

    def _processes(self) -> Iterator[int]:
        """Processes that carry this home's mark in their environment, zombies left out."""
        mark = f"{MARK}={self.home}".encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)

    # Access

    def password(self) -> str:
        """The generated password of the user `admin`."""
        path = self.home / "simple_auth_manager_passwords.json.generated"
        return str(json.loads(path.read_text())["admin"])


def _reap(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
