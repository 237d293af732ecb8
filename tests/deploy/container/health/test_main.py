"""`python -m deploy.container.health PART`: one line, and a status that Docker understands."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[4]


def check(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.container.health", *words],
        cwd=REPO,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_an_unknown_part_is_refused_with_the_known_ones() -> None:
    done = check("webserver")
    assert done.returncode == 2
    assert "api-server|scheduler|dag-processor|triggerer|worker|reaper" in done.stderr


def test_an_api_server_that_is_away_is_unhealthy() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        done = check("api-server", AIRFLOW__API__PORT=str(port))
    assert done.returncode == 1
    assert done.stdout.startswith(f"api-server: unhealthy: does not answer on port {port}: ")


def test_a_host_is_never_taken_for_a_container() -> None:
    done = check("worker", AIRFLOW__CELERY__BROKER_URL="redis://127.0.0.1:1")
    assert done.returncode == 1
    assert "\n" not in done.stdout.strip()
