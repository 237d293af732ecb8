"""A real Airflow is asked which releases runs are on, and prune believes it."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.deploy.host.conftest import Host

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.skipif(
        importlib.util.find_spec("airflow") is None, reason="Airflow is not installed here"
    ),
    pytest.mark.usefixtures("without_docker"),
]

# A DAG that Airflow knows in 1.3.0, and a run in each state, each on a release of its own.
SEED = """
from airflow.models import DagModel, DagRun
from airflow.models.dagbundle import DagBundleModel
from airflow.utils.session import create_session
from airflow.utils.types import DagRunType
from datetime import datetime, timezone

with create_session() as session:
    session.add(DagBundleModel(name="corpus"))
    session.flush()
    session.add(DagModel(dag_id="update", fileloc="update.py", relative_fileloc="update.py",
        bundle_name="corpus", bundle_version="1.3.0", is_stale=False, is_paused=True))
    session.flush()
    for state, release in [("success", "1.0.0"), ("running", "1.1.0~rc1+2.gabc"),
                           ("queued", "1.2.0"), ("failed", "1.4.0")]:
        session.add(DagRun(dag_id="update", run_id=state, state=state, run_type=DagRunType.MANUAL,
            run_after=datetime.now(timezone.utc), bundle_version=release))
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address of an API server with the seed in its database, and the file with the password of `viewer`."""
    home = tmp_path_factory.mktemp("airflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    environment = {
        **kept,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "viewer:viewer",
        "AIRFLOW__API_AUTH__JWT_SECRET": "only-for-tests-" * 5,
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    for words in (["-m", "airflow", "db", "migrate"], ["-c", SEED]):
        subprocess.run(
            [sys.executable, *words], env=environment, cwd=home, check=True, capture_output=True
        )
    words = ["-m", "airflow", "api-server", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, *words],
            env=environment,
            cwd=home,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, server, home / "log")
        (passwords,) = home.glob("simple_auth_manager_passwords.json.generated")
        (home / "password").write_text(json.loads(passwords.read_text())["viewer"])
        yield url, home / "password"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    while server.poll() is None:
        try:
            urlopen(f"{url}/api/v2/version").read()
        except (URLError, ConnectionError):
            time.sleep(0.2)
        else:
            return
    raise AssertionError(log.read_text())


def test_unfinished_runs_and_dags_keep_their_releases(
    host: Host, airflow: tuple[str, Path], capsys: pytest.CaptureFixture[str]
):
    url, password = airflow
    host.set("api", url=url, user="viewer", password_file=str(password))
    host.set("releases", kept=1)
    host.install("1.0.0", "1.1.0~rc1+2.gabc", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0")
    capsys.readouterr()
    assert host("prune", "--dry-run") == 0
    assert capsys.readouterr().out.splitlines() == [
        "1.0.0 would be removed",
        "1.1.0~rc1+2.gabc stays: runs under way on it: 1",
        "1.2.0 stays: runs under way on it: 1",
        "1.3.0 stays: new runs begin with it",
        "1.4.0 would be removed",
        "1.5.0 stays: previous",
        "1.6.0 stays: current",
    ]
    assert host("prune") == 0
    assert host.releases.names() == ["1.1.0~rc1+2.gabc", "1.2.0", "1.3.0", "1.5.0", "1.6.0"]
    capsys.readouterr()
    host("releases", "--json")
    rows = json.loads(capsys.readouterr().out)["releases"]
    assert [row["runs"] for row in rows] == [0, 0, 0, 1, 1]


def test_a_wrong_password_removes_nothing(
    host: Host, airflow: tuple[str, Path], capsys: pytest.CaptureFixture[str]
):
    wrong = host.folder / "wrong"
    wrong.write_text("wrong")
    host.set("api", url=airflow[0], user="viewer", password_file=str(wrong))
    host.set("releases", kept=1)
    host.install("1.0.0", "1.1.0", "1.2.0")
    assert host("prune") == 75
    assert "refuses viewer (401)" in capsys.readouterr().err
    assert host.releases.names() == ["1.0.0", "1.1.0", "1.2.0"]
