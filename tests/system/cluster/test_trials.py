"""Surroundings that a cluster may be put into: workers whose clock is wrong, TLS between all parts, IPv6 alone.

Each takes the cluster down and up again, and so they run with FULL=1.
"""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.common.airflow_api import AirflowApi
from deploy.common.ports import free_port
from deploy.local.cluster.compose import FILES, Compose, docker
from deploy.local.cluster.ownership import hand_over
from deploy.local.cluster.trouble import wait_until_well
from deploy.local.cluster.users import login
from deploy.local.cluster.workdir import Place
from tests.support.full import FULL
from tests.system.cluster.conftest import Cluster
from tests.system.cluster.harness import Lab, Update
from tests.system.cluster.harness_faults import seconds
from tests.system.cluster.harness_report import Measurement, note

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not FULL, reason="takes the cluster down and up again: FULL=1"),
]

TRIALS = Path(__file__).parent / "trials"
START_SECONDS = 300
# Addresses of the other parts, as files.
ADDRESSES = ("sql_alchemy_conn", "result_backend", "broker_url")


@pytest.fixture
def folder(cluster: Cluster) -> Iterator[Path]:
    """What a trial mounts into its containers; below the work folder, so that a snapd's engine sees it, too."""
    made = cluster.place / "trial"
    made.mkdir()
    yield made
    shutil.rmtree(made)


@contextmanager
def trial(cluster: Cluster, name: str, folder: Path, **settings: object) -> Iterator[None]:
    """The same cluster, with its data, and one more compose file; afterwards as it was."""
    compose = Compose(cluster.place, [*FILES, TRIALS / f"{name}.yaml"])
    hand_over([folder, *folder.iterdir()], f"corpus-airflow:{tag(cluster.place)}")
    cluster.configure(CORPUS_TRIAL=folder, **settings)
    compose.run("down", "--timeout", "20", capture=True)
    try:
        compose.run("up", "--detach", "--no-build", "--pull", "never", capture=True)
        wait_until_well(compose, START_SECONDS)
        yield
    finally:
        compose.run("down", "--timeout", "20", capture=True)
        cluster.configure()
        cluster.up()


def tag(place: Place) -> str:
    return place.settings()["CORPUS_IMAGE_TAG"]


def succeeds(what: str, update: Update, expected: str) -> None:
    """At its first try, with the content that it has elsewhere; what it took is noted."""
    update.must_succeed(expected)
    tries = max(one["try_number"] for one in update.tasks())
    run = update.lab.api.call("GET", f"dags/{update.dag}/dagRuns/{update.run_id}")
    note(Measurement(what, None, seconds(run["end_date"]) - seconds(run["start_date"]), tries))
    assert tries == 1


def addresses(cluster: Cluster, folder: Path, *changes: tuple[str, str]) -> None:
    """The cluster's own addresses of Redis and Postgres with something changed in them."""
    for name in ADDRESSES:
        text = (cluster.place / "secrets" / name).read_text()
        for old, new in changes:
            text = text.replace(old, new)
        (folder / name).write_text(text)
        (folder / name).chmod(0o440)


@pytest.mark.parametrize("shift", [120, -120])
def test_workers_whose_clock_is_two_minutes_off(
    lab: Lab, cluster: Cluster, folder: Path, expected: str, shift: int
) -> None:
    if not shutil.which("cc"):
        pytest.skip("a C compiler makes the wrong clock, and there is none")
    library = folder / "clockshift.so"
    source = TRIALS / "clockshift.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
    with trial(cluster, "skew", folder, CORPUS_TRIAL_SHIFT=shift):
        clock = "import time; print(time.time())"
        worker = cluster.containers("worker")[0].id
        theirs, ours = (
            float(docker("exec", *env, worker, "python", "-c", clock))
            for env in ((), ("--env=LD_PRELOAD=",))
        )
        assert abs(theirs - ours - shift) < 60
        succeeds(f"workers' clocks {shift:+} s", lab.update(), expected)


def test_tls_between_all_parts(
    lab: Lab,
    cluster: Cluster,
    folder: Path,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificates(folder, "redis", "postgres", "api-server")
    authority = "/trial/authority.crt"
    addresses(
        cluster,
        folder,
        ("connect_timeout=10", f"connect_timeout=10&sslmode=verify-full&sslrootcert={authority}"),
        ("redis://", "rediss://"),
        (":6379/0", f":6379/0?ssl_cert_reqs=required&ssl_ca_certs={authority}"),
    )
    url = "https://api-server:8080"
    settings = {
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORPUS_REAPER__API_URL": url,
    }
    before, user, password = login(cluster.place)
    with trial(cluster, "tls", folder, **settings):
        monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authority.crt"))
        plain, lab.api = (
            lab.api,
            AirflowApi(before.replace("http://", "https://"), user, password),
        )
        try:
            succeeds("TLS between all parts", lab.update(), expected)
        finally:
            lab.api = plain


def test_ipv6_alone_between_the_parts(
    lab: Lab, cluster: Cluster, folder: Path, expected: str
) -> None:
    random = uuid.uuid4().hex
    network = f"fd{random[:2]}:{random[2:6]}:{random[6:10]}:1"
    addresses(
        cluster,
        folder,
        ("@redis:", f"@[{network}::11]:"),
        ("@postgres:", f"@[{network}::12]:"),
    )
    port = free_port()
    url = f"http://[{network}::1]:{port}"
    settings = {
        "CORPUS_TRIAL_NETWORK": network,
        "CORPUS_TRIAL_PORT": port,
        "CORPUS_API_LISTEN": "",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORPUS_REAPER__API_URL": url,
        "CORPUS_NO_PROXY": f"{network}::1",
    }
    with trial(cluster, "ipv6", folder, **settings):
        succeeds("IPv6 alone between the parts", lab.update(), expected)


def certificates(folder: Path, *hosts: str) -> None:
    """An authority of its own, and a certificate and key for each host, which is 127.0.0.1, too."""
    new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    _openssl(folder, f"{new} -subj /CN=trial -keyout authority.key -out authority.crt")
    for host in hosts:
        names = f"-subj /CN={host} -addext subjectAltName=DNS:{host},DNS:localhost,IP:127.0.0.1"
        signed = "-CA authority.crt -CAkey authority.key"
        _openssl(folder, f"{new} {names} {signed} -keyout {host}.key -out {host}.crt")
    for key in folder.glob("*.key"):
        key.chmod(0o400)


def _openssl(folder: Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)
