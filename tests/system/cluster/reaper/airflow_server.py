"""Airflow's API server on loopback, over a database in which a test sets the states of tasks."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx

from deploy.common.ports import free_port
from operators.reaper.airflow_api import AirflowApi, TaskKey
from operators.settings import WorkerSettings

REPO = Path(__file__).resolve().parents[4]
DAG = "reaped"
MAPPED = 120

# One plain and one mapped task; `dag.test` makes a real run of them, with all its task instances.
_SEED = f"""
from tests.support import airflow_home
airflow_home.migrate()
from airflow.sdk import DAG, task
with DAG("{DAG}", schedule=None) as dag:
    @task
    def single(): pass
    @task
    def mapped(i): pass
    single()
    mapped.expand(i=list(range({MAPPED})))
print("run_id=" + airflow_home.run_dag(dag).run_id)
"""


class AirflowServer:
    """One home with a SQLite database, and an API server that can be stopped and started."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.secret = "only-for-tests-" * 5
        self.password_file = home / "password"
        self._process: subprocess.Popen[bytes] | None = None
        home.mkdir()
        passwords = {"reader": "r-secret", "nobody": "n-secret"}
        (home / "users.json").write_text(json.dumps(passwords))
        self.password_file.write_text(passwords["reader"] + "\n")
        done = subprocess.run(
            [sys.executable, "-c", _SEED],
            env=self._environment(),
            cwd=REPO,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.run_id = done.stdout.rsplit("run_id=", 1)[1].split()[0]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def key(self, task: str = "single", index: int = -1) -> TaskKey:
        return TaskKey(DAG, self.run_id, task, index)

    def api(self, user: str = "reader") -> AirflowApi:
        return AirflowApi(self.url, user, self.password_file)

    def settings(self, **sections: dict[str, object]) -> WorkerSettings:
        reaper = {
            "api_url": self.url,
            "api_user": "reader",
            "api_password_file": str(self.password_file),
            **sections.pop("reaper", {}),
        }
        return WorkerSettings.load({"reaper": reaper, **sections})

    def start(self) -> None:
        with (self.home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "airflow", "api-server"],
                env=self._environment(),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/api/v2/version", timeout=5).is_success:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.3)
        raise AssertionError((self.home / "server.log").read_text()[-3000:])

    def stop(self) -> None:
        if self._process is None:
            return
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def set(
        self, key: TaskKey, state: str | None, try_number: int = 1, max_tries: int = 0
    ) -> TaskKey:
        """Put a task into a state, as the scheduler would."""
        with closing(sqlite3.connect(self.home / "airflow.db", timeout=30)) as database:
            changed = database.execute(
                "UPDATE task_instance SET state = ?, try_number = ?, max_tries = ? "
                "WHERE dag_id = ? AND run_id = ? AND task_id = ? AND map_index = ?",
                (
                    *(state, try_number, max_tries),
                    *(key.dag_id, key.run_id, key.task_id, key.map_index),
                ),
            )
            database.commit()
            assert changed.rowcount == 1, key
        return key

    def _environment(self) -> dict[str, str]:
        (self.home / "dags").mkdir(exist_ok=True)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")}
        return {
            **inherited,
            "PYTHONPATH": str(REPO),
            "CORPUS_TEST_AIRFLOW_HOME": str(self.home),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "dags"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "reader:viewer,nobody:",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "users.json"),
            # Smaller than what the client asks for: an answer then has several pages.
            "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": "40",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": self.secret,
        }
