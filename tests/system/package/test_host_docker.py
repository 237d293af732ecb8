"""The host command with a real engine: a release is tried in Airflow's image, and the cluster's own parts are run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.host.manifest import PACKAGES, Manifest
from tests.deploy.host.conftest import Host, host
from tests.support.engine import engine

__all__ = ["host"]

REPO = Path(__file__).resolve().parents[3]
IMAGE = "corpus-airflow:latest"

# With the cluster's service names; folders are the test's.
COMPOSE = """
x-airflow: &airflow
  image: {image}
  init: true
  stop_grace_period: 0s
  user: "{user}"
  environment: {environment}
  volumes: ["{repo}:/opt/corpus-airflow/1.2.3:ro", "{home}:/home/airflow"]
services:
  worker: {{<<: *airflow, entrypoint: [], command: [sleep, "600"], volumes: ["{releases}:/opt/corpus-airflow:ro"]}}
  redis: {{<<: *airflow, entrypoint: [], command: [sleep, "600"]}}
  init: {{<<: *airflow, profiles: [init], entrypoint: []}}
  scheduler: {{<<: *airflow, entrypoint: []}}
  reaper: {{<<: *airflow, entrypoint: [], command: [sleep, "600"], depends_on: [redis]}}
"""


def docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True)


@pytest.fixture(scope="module", autouse=True)
def image() -> str:
    if not shutil.which("docker") or docker("version").returncode:
        pytest.skip("no Docker engine answers; `make engine-up` starts one")
    if docker("image", "inspect", IMAGE).returncode:
        pytest.skip(f"the image {IMAGE} is not here; `make images` builds it")
    return IMAGE


def payload(host: Host, version: str, dag: str | None = None) -> None:
    """This checkout as a payload, with another DAG file where one is given."""
    folder = host.folder / "payload"
    shutil.rmtree(folder, ignore_errors=True)
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPO / package, folder / package, ignore=ignored)
    if dag is not None:
        (folder / "dags" / "another.py").write_text(dag)
    Manifest.of(folder, version, "abc").write(folder)


@pytest.fixture
def tried(host: Host, image: str, capsys: pytest.CaptureFixture[str]) -> Host:
    """A host with this checkout as release 1.0.0, tried in the image."""
    host.set("images", airflow=image)
    payload(host, "1.0.0")
    assert host("install") == 0
    count = len(list((REPO / "dags").glob("*.py")))
    (told,) = [line for line in capsys.readouterr().out.splitlines() if image in line]
    assert told.startswith("Release 1.0.0: ")
    assert int(told.split()[2]) >= count
    return host


@pytest.mark.parametrize(
    ("dag", "told"),
    [
        ("import nothing_of_that_name\n", "another.py: ModuleNotFoundError"),
        ("raise ValueError('a reason')\n", "another.py: ValueError: a reason"),
        ("open('/opt/corpus-airflow/new/dags/x', 'w')\n", "Read-only file system"),
        ("import socket\nsocket.create_connection(('192.0.2.1', 80))\n", "Network is unreachable"),
        ("import os\nos._exit(0)\n", "The check of the DAGs ended"),
    ],
)
def test_a_dag_that_does_not_load_is_refused(
    tried: Host, dag: str, told: str, capsys: pytest.CaptureFixture[str]
):
    payload(tried, "1.1.0", dag)
    assert tried("install") == 3
    said = capsys.readouterr().err
    assert told in said
    assert "1.0.0 stays current" in said
    assert tried.releases.names() == ["1.0.0"]


def test_a_check_without_end_is_ended(tried: Host, capsys: pytest.CaptureFixture[str]):
    # Airflow's own bound is a signal, which the file may ignore.
    payload(
        tried,
        "1.1.0",
        "import signal, time\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\ntime.sleep(600)\n",
    )
    tried.set("images", check_s=5)
    assert tried("install") == 1
    assert "did not load within 5 s" in capsys.readouterr().err
    name = f"corpus-airflow-check-{os.getpid()}"
    assert docker("ps", "-aq", "--filter", f"name={name}").stdout == ""
    assert tried.releases.names() == ["1.0.0"]


def test_an_image_that_is_not_here_is_no_fault(host: Host, capsys: pytest.CaptureFixture[str]):
    host.set("images", airflow="corpus-test-no-such-image:1")
    host.install("1.0.0")
    told = capsys.readouterr().out
    assert "DAGs not loaded: the image corpus-test-no-such-image:1 is not here" in told


@pytest.fixture
def cluster(host: Host, image: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host with a compose file; nothing of it runs yet."""
    done = engine("docker-config")
    if done.returncode:
        pytest.skip(f"docker compose cannot be had: {done.stdout}")
    monkeypatch.setenv("DOCKER_CONFIG", done.stdout.strip())
    project = f"corpus-test-{uuid.uuid4().hex[:8]}"
    host.set("compose", project=project)
    home = host.folder / "home"
    home.mkdir()
    environment: dict[str, Any] = {
        "AIRFLOW_HOME": "/home/airflow",
        "AIRFLOW__CELERY__RESULT_BACKEND": "db+sqlite:////home/airflow/results.db",
        "PYTHONPATH": "/opt/corpus-airflow/1.2.3",
        "CORPUS_DOCKER__SCRATCH": "/home/airflow",
        "CORPUS_REAPER__API_URL": "http://127.0.0.1:1",
        "CORPUS_REAPER__API_PASSWORD_FILE": "/etc/hostname",
    }
    (host.folder / "compose.yaml").write_text(
        COMPOSE.format(
            image=image,
            user=f"{os.getuid()}:{os.getgid()}",
            environment=json.dumps(environment),
            repo=REPO,
            home=home,
            releases=host.releases.folder,
        )
    )
    yield host
    compose(host, "down", "--timeout", "0")


def compose(host: Host, *words: str) -> None:
    file, project = (host.tables["compose"][key] for key in ("file", "project"))
    done = docker("compose", "--project-name", project, "-f", file, *words)
    assert done.returncode == 0, done.stderr


def test_containers_are_shown_with_their_release(cluster: Host, capsys: pytest.CaptureFixture[str]):
    cluster.install("1.0.0", "1.1.0")
    compose(cluster, "up", "--detach", "worker", "redis")
    cluster.install("1.2.0")
    capsys.readouterr()
    cluster("status", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["engine_fault"] is None
    releases = {one["service"]: one["release"] for one in found["containers"]}
    assert releases == {"worker": "1.1.0", "redis": None}
    cluster("status")
    assert "-worker-1  1.1.0       " in capsys.readouterr().out
    compose(cluster, "restart", "--timeout", "0", "worker")
    cluster("status", "--json")
    found = json.loads(capsys.readouterr().out)
    releases = {one["service"]: one["release"] for one in found["containers"]}
    assert releases["worker"] == "1.2.0"


def test_the_release_that_a_container_began_with_stays(
    cluster: Host, capsys: pytest.CaptureFixture[str]
):
    cluster.install("1.0.0")
    compose(cluster, "up", "--detach", "worker")
    cluster.install("1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0")
    cluster.set("releases", unasked_days=0)
    assert cluster("prune") == 0
    assert "here are 1.0.0, 1.3.0, 1.4.0, 1.5.0" in capsys.readouterr().out


def test_old_rows_are_removed_by_airflow_itself(cluster: Host, capsys: pytest.CaptureFixture[str]):
    cluster.set("database", days=30)
    # A database that cannot be opened: Airflow fails, and so does the job.
    database = cluster.folder / "home" / "airflow.db"
    database.mkdir()
    assert cluster("clean-database") == 1
    said = capsys.readouterr().err
    assert "`airflow db clean` ended with status 1" in said
    state = json.loads((cluster.folder / "state" / "clean-database.json").read_text())
    assert (state["status"], state["last_success"]) == ("failed", None)
    database.rmdir()
    compose(cluster, "run", "--rm", "-T", "init", "airflow", "db", "migrate")
    assert cluster("clean-database", "--dry-run") == 0
    assert cluster("clean-database") == 0
    told = capsys.readouterr().out.splitlines()[-1]
    assert told.startswith("Removed rows older than")
    assert told.endswith("Results of Celery's tasks older than 30 days: 0 removed.")
    state = json.loads((cluster.folder / "state" / "clean-database.json").read_text())
    assert (state["status"], bool(state["last_success"])) == ("ok", True)


def test_where_the_reaper_runs_there_is_nothing_to_do(
    cluster: Host, capsys: pytest.CaptureFixture[str]
):
    compose(cluster, "up", "--detach", "reaper")
    assert cluster("reap") == 0
    assert "-reaper-1 runs; there is nothing to do." in capsys.readouterr().out


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_elsewhere_a_pass_of_it_is_run(
    cluster: Host, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    # The reaper itself, which has no Airflow to ask here, and says so by its status.
    assert cluster("reap", *words) == 75
    assert "The reaper's pass was not completed: " in capsys.readouterr().err
    # Nor is anything else of the file started for it.
    project = cluster.tables["compose"]["project"]
    label = f"label=com.docker.compose.project={project}"
    assert docker("ps", "--quiet", "--filter", label).stdout == ""
