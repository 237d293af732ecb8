"""Redis, Postgres and parts of Airflow in containers of their own, for tests of the health checks."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.cluster.compose import docker
from deploy.local.cluster.workers import CHECK

REPO = Path(__file__).resolve().parents[3]
# The checkout's health checks and init job, over the image's.
OWN_CODE = f"{REPO / 'deploy'}:/opt/corpus/lib/python3.11/site-packages/deploy:ro"
# Celery tasks that hold a slot as a task of Airflow does: by a child process of it, and hidden from
# debuggers, so that much of /proc cannot be read of it.
_TASKS = """\
import ctypes, subprocess
from celery import shared_task

@shared_task(name="nap")
def nap(seconds):
    PR_SET_DUMPABLE = 4
    assert ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
    subprocess.run(["sleep", str(seconds)], check=True)
"""
_SEND = """\
import sys
from celery import Celery
app = Celery(broker=open("/run/secrets/broker_url").read())
for _ in range(int(sys.argv[1])):
    app.send_task("nap", args=[float(sys.argv[2])], queue="default")
"""
_CONTROL = """\
import json, sys
from celery import Celery
app = Celery(broker=open("/run/secrets/broker_url").read())
print(json.dumps(app.control.broadcast(sys.argv[1], arguments=json.loads(sys.argv[2]), reply=True)))
"""


# As much of the API server as the check of a worker asks for.
_API = """\
import http.server
class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "healthy"}' if self.path == "/execution/health" else b"<!doctype html>")
http.server.ThreadingHTTPServer(("", 8080), Api).serve_forever()
"""


@dataclass(frozen=True)
class Health:
    """What one run of a check said."""

    status: int
    line: str


class Stack:
    """Containers on a network of their own; `close` removes all of them."""

    def __init__(self, folder: Path) -> None:
        self.name = f"corpus-health-{uuid.uuid4().hex[:8]}"
        self.folder = folder
        self._containers: list[str] = []
        secrets = folder / "secrets"
        secrets.mkdir()
        (secrets / "redis_password").write_text("r:d/s@")
        (secrets / "postgres_password").write_text("pg")
        (secrets / "broker_url").write_text("redis://:r%3Ad%2Fs%40@redis:6379/0")
        (secrets / "sql_alchemy_conn").write_text(
            "postgresql+psycopg2://airflow:pg@postgres:5432/airflow?connect_timeout=5"
        )
        (secrets / "result_backend").write_text(
            "db+postgresql+psycopg2://airflow:pg@postgres:5432/airflow"
        )
        for file in secrets.iterdir():
            file.chmod(0o444)
        (folder / "naps.py").write_text(_TASKS)
        folder.chmod(0o755)
        docker("network", "create", self.name)

    def start(
        self,
        role: str,
        image: str,
        *command: str,
        options: Sequence[str] = (),
        environment: dict[str, str] | None = None,
    ) -> str:
        """Start a container known to the others by `role`; its name."""
        name = f"{self.name}-{role}"
        variables = [f"--env={key}={value}" for key, value in (environment or {}).items()]
        docker(
            *("run", "--detach", "--init", "--read-only", "--cap-drop", "ALL"),
            *("--network", self.name, "--network-alias", role, "--name", name, "--hostname", role),
            *("--tmpfs", "/tmp:mode=1777", "--restart", "unless-stopped"),
            *("--volume", f"{self.folder / 'secrets'}:/run/secrets:ro"),
            *options,
            *variables,
            image,
            *command,
        )
        self._containers.append(name)
        return name

    def start_redis(self, *command: str) -> str:
        return self.start(
            "redis",
            "corpus-redis",
            *(command or ("--save", "")),
            environment={"REDIS_PASSWORD_FILE": "/run/secrets/redis_password"},
        )

    def start_postgres(self) -> str:
        name = self.start(
            "postgres",
            "corpus-postgres",
            environment={"POSTGRES_PASSWORD_FILE": "/run/secrets/postgres_password"},
        )
        self.wait(lambda: self.call("postgres", "pg_isready", "-h", "127.0.0.1").returncode == 0)
        return name

    def start_airflow(self, role: str, *command: str, environment: dict[str, str]) -> str:
        """A part of Airflow, with the checks of this checkout."""
        return self.start(
            role,
            "corpus-airflow",
            *command,
            options=(
                *("--tmpfs", "/var/lib/airflow:mode=0755,uid=50000,gid=50000"),
                *("--volume", OWN_CODE),
                *("--volume", f"{self.folder / 'naps.py'}:/opt/corpus-airflow/current/naps.py:ro"),
            ),
            environment={
                "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": "cat /run/secrets/sql_alchemy_conn",
                "AIRFLOW__CELERY__BROKER_URL_CMD": "cat /run/secrets/broker_url",
                "AIRFLOW__CELERY__RESULT_BACKEND_CMD": "cat /run/secrets/result_backend",
                "AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS": "deploy.container.results.configuration.CONFIG",
                **environment,
            },
        )

    def start_execution_api(self) -> str:
        return self.start("api-server", "corpus-airflow", "python", "-c", _API)

    def start_worker(self, role: str = "worker", slots: int = 2, patience: float = 2) -> str:
        name = self.start_airflow(
            role,
            *("airflow", "celery", "worker", "--skip-serve-logs"),
            *("--without-gossip", "--without-mingle"),
            environment={
                "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(slots),
                "AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": json.dumps(
                    {
                        "imports": ["naps"],
                        "result_backend_always_retry": True,
                        "broker_connection_max_retries": None,
                    }
                ),
                "AIRFLOW__CELERY__RESULT_BACKEND_SQLALCHEMY_ENGINE_OPTIONS": '{"pool_pre_ping": true}',
                "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",
                "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__HEALTH_CHECK_INTERVAL": "10",
                "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__SOCKET_KEEPALIVE": "True",
                "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__SOCKET_CONNECT_TIMEOUT": "10",
                "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__SOCKET_TIMEOUT": "30",
                "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://api-server:8080/execution/",
                "CORPUS_HEALTH_PATIENCE_S": str(patience),
                "CORPUS_HEALTH_START_S": "0",
            },
        )
        self.wait_ready(name)
        return name

    def wait_ready(self, name: str, times: int = 1) -> None:
        self.wait(lambda: self.logs(name).count(" ready.") >= times, what=f"{name} to be ready")

    def logs(self, name: str) -> str:
        done = subprocess.run(["docker", "logs", name], capture_output=True, text=True)
        return done.stdout + done.stderr

    def call(
        self, role: str, *command: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        variables = [f"--env={name}={value}" for name, value in environment.items()]
        return subprocess.run(
            ["docker", "exec", *variables, f"{self.name}-{role}", *command],
            capture_output=True,
            text=True,
        )

    def health(self, role: str, part: str = "worker", **environment: str) -> Health:
        """What a part's check says, with other settings than the container's own if some are given."""
        done = self.call(role, *CHECK, part, **environment)
        return Health(done.returncode, done.stdout.strip() or done.stderr.strip())

    def send(self, role: str, count: int, seconds: float) -> None:
        """Put tasks into the queue that take so long each."""
        done = self.call(role, "python", "-c", _SEND, str(count), str(seconds))
        assert done.returncode == 0, done.stderr

    def control(self, role: str, command: str, **arguments: object) -> object:
        """Celery's remote control; what the workers answer."""
        done = self.call(role, "python", "-c", _CONTROL, command, json.dumps(arguments))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def redis(self, *words: str) -> str:
        """What redis-cli prints."""
        command = 'REDISCLI_AUTH="$(cat /run/secrets/redis_password)" exec redis-cli "$@"'
        done = self.call("redis", "sh", "-c", command, "sh", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def queued(self) -> int:
        return int(self.redis("llen", "default"))

    def restarts(self, name: str) -> int:
        return int(docker("inspect", "--format", "{{.RestartCount}}", name))

    def pid(self, role: str, title: str) -> int:
        """On the host, of a container's process."""
        found = self.pid_or_none(role, title)
        assert found is not None, f"{role} has no process {title}"
        return found

    def pid_or_none(self, role: str, title: str) -> int | None:
        """As `pid`; None where there is none, or the container is just starting."""
        done = subprocess.run(
            ["docker", "top", f"{self.name}-{role}", "-eo", "pid,args"],
            capture_output=True,
            text=True,
        )
        for line in done.stdout.splitlines()[1:]:
            pid, words = line.split(None, 1)
            if title in words and "docker-init" not in words:
                return int(pid)
        return None

    def wait(self, done: Callable[[], bool], seconds: float = 90, what: str = "the stack") -> float:
        """Until something holds; the seconds it took."""
        began = time.monotonic()
        while not done():
            if time.monotonic() - began > seconds:
                raise TimeoutError(f"waited {seconds:.0f} s for {what}")
            time.sleep(0.25)
        return time.monotonic() - began

    def close(self) -> None:
        if self._containers:
            docker("rm", "--force", "--volumes", *self._containers)
        docker("network", "rm", self.name)
