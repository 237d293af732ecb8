"""The images, built for real: what is in them, what is not, and that they do their work hardened."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from corpus.contract.version import code_of
from deploy.build.images.build import NAMES
from deploy.build.images.client import Client
from deploy.host.manifest import Manifest
from tests.support.executables import launcher

REPO = Path(__file__).resolve().parents[3]
PYTHON = ("airflow", "services", "extractor")
# As the runner starts them, and compose.
HARDENED = (
    "--init", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL",
    "--security-opt", "no-new-privileges", "--network", "none",
)  # fmt: skip
CODE = ("--volume", f"{REPO}:/opt/corpus-airflow/current:ro")
# Of this checkout as it is; others may commit while images are built.
BUILT = code_of(REPO)
PASSWORD = 'it\'s "quoted" \\ here'


def docker(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["docker", *words], check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def run(image: str, *words: str, options: Sequence[str] = (), check: bool = True) -> str:
    """A command in a hardened container; what it says, its errors too where they are not checked."""
    command = ["run", "--rm", *HARDENED, *options, "--entrypoint", words[0], f"corpus-{image}"]
    done = docker(*command, *words[1:], check=check)
    return done.stdout if check else done.stdout + done.stderr


def look(image: str, script: str) -> str:
    """What a script finds that may read every file of an image."""
    words = ["run", "--rm", "--user", "0", "--network", "none", "--entrypoint", "sh"]
    return docker(*words, f"corpus-{image}", "-c", script).stdout


def python(image: str, script: str, options: Sequence[str] = ()) -> Any:
    """What a script prints as JSON."""
    return json.loads(run(image, "python", "-c", script, options=options))


def build(*names: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.build.images", *names],
        cwd=REPO, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def images() -> str:
    """All images, of the sources of now; the table that tells of them."""
    if shutil.which("docker") is None and os.geteuid() != 0:
        pytest.skip("there is no Docker engine, and only root can install one")
    return build()


def inspect(name: str) -> dict[str, Any]:
    image = Client.find().image(f"corpus-{name}")
    assert image is not None
    return image


def test_the_table_names_every_image_with_its_id(images: str):
    for name in NAMES:
        line = next(line for line in images.splitlines() if line.startswith(f"corpus-{name} "))
        assert inspect(name)["Id"].removeprefix("sha256:")[:12] in line
        assert BUILT.version.replace("+", "-") in line


def test_unchanged_sources_give_the_same_layers():
    before = {name: inspect(name)["RootFS"]["Layers"] for name in NAMES}
    build()
    assert {name: inspect(name)["RootFS"]["Layers"] for name in NAMES} == before


def test_images_share_what_they_have_in_common():
    layers = {name: inspect(name)["RootFS"]["Layers"] for name in NAMES}
    root = layers["redis"][:2]
    assert all(found[:2] == root for found in layers.values())
    # All but its code and its kernels: a host that has one of the two has most of the other.
    shared = layers["extractor"][:-2]
    assert layers["services"][: len(shared)] == shared


@pytest.mark.parametrize("name", NAMES)
def test_an_image_says_what_it_is_and_of_which_commit(name: str):
    config = inspect(name)["Config"]
    labels = {
        key.removeprefix("org.opencontainers.image."): value
        for key, value in config["Labels"].items()
    }
    assert labels["title"] == f"corpus-{name}"
    assert labels["version"] == BUILT.version
    # Of this branch; others may commit while images are built.
    commit = labels["revision"].removesuffix("-dirty")
    subprocess.run(["git", "merge-base", "--is-ancestor", commit, "HEAD"], cwd=REPO, check=True)
    assert set(labels) == {"title", "description", "licenses", "version", "revision"}
    if name in ("services", "extractor"):
        assert f"CORPUS_CODE_VERSION={labels['revision']}" in config["Env"]


@pytest.mark.parametrize("name", NAMES)
def test_an_image_runs_without_root_and_has_no_way_to_become_it(name: str):
    assert inspect(name)["Config"]["User"] == "50000:50000"
    assert run(name, "sh", "-c", "id -u; id -g; id -un").split() == ["50000", "50000", "corpus"]
    assert look(name, "find / -xdev -perm /6000 -type f") == ""


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_machine_that_built_it_is_in_an_image(name: str):
    image = inspect(name)
    told = json.dumps([image["Config"], docker("history", "--no-trunc", f"corpus-{name}").stdout])
    assert str(REPO) not in told
    script = (
        "find / -xdev -name pip.conf; find / -xdev -name 'uv.toml'; "
        # The certificates are Debian's own.
        "find /usr/local/share/ca-certificates -type f; "
        "find /etc/ssl/certs -type f ! -name ca-certificates.crt; "
        "find /etc/ssl/private -type f; "
        # Nothing is newer than the layers' epoch but what docker itself puts into a container.
        "find / -xdev -newermt @1735689600 -type f"
    )
    own = {"/.dockerenv", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    assert set(look(name, script).split()) <= own


@pytest.mark.parametrize("name", PYTHON)
def test_the_corpus_command_is_on_the_path(name: str):
    mounts = CODE if name == "airflow" else ()
    assert run(name, "corpus", "--version", options=mounts).startswith("corpus, version ")
    assert "Extract the samples" in run(name, "corpus", "extract", "--help", options=mounts)
    assert run(name, "sh", "-c", "command -v corpus") == "/opt/corpus/bin/corpus\n"


@pytest.mark.parametrize("name", ["services", "extractor"])
def test_the_code_in_an_image_has_the_version_of_its_checkout(name: str):
    script = (
        "import json; from importlib.metadata import version; from corpus.contract.version import current;"
        "print(json.dumps([current().version, version('corpus-airflow')]))"
    )
    # What snapshots name, what pip would, and what the label says.
    assert python(name, script) == [BUILT.version, BUILT.version]
    assert run(name, "corpus", "--version") == f"corpus, version {BUILT.version}\n"
    # The name by which hosts ask for it.
    tag = BUILT.version.replace("+", "-")
    assert inspect(f"{name}:{tag}")["Id"] == inspect(name)["Id"]


def test_the_code_of_a_release_has_its_version_in_airflows_image(room: Path):
    """As mounted on a host: no git, no checkout, and nothing of the corpus installed."""
    shutil.copytree(REPO / "corpus", room / "release" / "corpus")
    Manifest.of(room / "release", "1.4.0~rc1", "checkout").write(room / "release")
    for path in (room / "release", *(room / "release").rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    mount = ["--volume", f"{room / 'release'}:/opt/corpus-airflow/current:ro"]
    assert run("airflow", "corpus", "--version", options=mount) == "corpus, version 1.4.0rc1\n"


def installed(name: str) -> set[str]:
    script = (
        "import json; from importlib.metadata import distributions;"
        "print(json.dumps([d.name.lower().replace('_', '-') for d in distributions()]))"
    )
    return set(python(name, script))


@pytest.mark.parametrize("name", PYTHON)
def test_no_image_has_what_tests_or_installs(name: str):
    unwanted = {"pip", "setuptools", "wheel", "uv", "pytest", "hypothesis", "moto", "coverage"}
    assert not installed(name) & unwanted
    assert run(name, "sh", "-c", "find /opt/corpus -type d -name tests") == ""
    missing = "for tool in gcc g++ cc make curl wget git; do command -v $tool; done"
    assert run(name, "sh", "-c", missing, check=False) == ""


def test_the_extractor_has_no_client_of_a_network_and_no_airflow():
    found = installed("extractor")
    assert "corpus-airflow" in found
    assert not found & {
        "s3fs", "aiobotocore", "botocore", "boto3", "aiohttp", "requests", "urllib3", "httpx",
        "deltalake", "polars", "redis", "psycopg2-binary", "docker", "celery", "apache-airflow",
        "apache-airflow-core", "matplotlib", "jinja2",
    }  # fmt: skip
    assert {"s3fs", "deltalake", "polars"} <= installed("services")


# Each kernel's hits and misses of what was compiled, after a start that could write nothing.
KERNELS = """
import json, os
from corpus.features.ember_v3.kernels import matchers, directory_kernels
from corpus.features import ember_v3
ember_v3.vector(bytes(4096))
from numba.core.dispatcher import Dispatcher
found = [d for module in (matchers, directory_kernels) for d in vars(module).values() if isinstance(d, Dispatcher)]
stats = [d.stats for d in found if d.stats.cache_path]
print(json.dumps({
    "kernels": len(stats), "hits": sum(len(s.cache_hits) for s in stats),
    "misses": sum(len(s.cache_misses) for s in stats), "folders": sorted({s.cache_path for s in stats}),
    "written": os.listdir("/tmp"),
}))
"""


@pytest.mark.parametrize("name", ["services", "extractor"])
def test_kernels_are_read_and_not_compiled(name: str):
    found = python(name, KERNELS)
    assert found["kernels"] > 3
    assert found["hits"] >= found["kernels"]
    assert found["misses"] == 0
    assert [folder.startswith("/opt/corpus/kernels/") for folder in found["folders"]] == [True]
    assert found["written"] == []


def test_code_for_one_processor_would_be_compiled_by_each_container():
    """Why the kernels are generic; and that the test above sees it where they are not taken."""
    assert "NUMBA_CPU_NAME=generic" in inspect("extractor")["Config"]["Env"]
    found = python("extractor", KERNELS, ["--env", "NUMBA_CPU_FEATURES=-none"])
    assert found["kernels"] == found["hits"] == 0


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder that the containers' user may write."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and len(folder.parts) > 2:
            folder.chmod(folder.stat().st_mode | 0o055)
    place = tmp_path / "room"
    place.mkdir()
    place.chmod(0o777)
    return place


def test_a_shard_is_ingested_and_extracted_by_the_extractor(room: Path):
    """All three steps, as the runner takes them: the extractor sees its workspace and no more."""
    samples = room / "samples"
    samples.mkdir()
    (samples / "a.exe").write_bytes(launcher())
    (samples / "b.exe").write_bytes(launcher()[:3000])
    whole = ["--volume", f"{room}:/room"]
    corpus = ["corpus", "--root", "/room/corpus", "--set", 'sources.urls=["/room/samples"]']
    sets = [
        "--feature-sets",
        "basic-v1",
        "--feature-sets",
        "ember-v3",
        "--feature-sets",
        "corpus-v1",
    ]
    run("services", *corpus, "collect", "--update", "u", options=whole)
    for service, given in (("ingest", []), ("extract", sets)):
        own = [service, "--update", "u", *given]
        # Made beforehand, as the runner does, or docker would make it for root alone.
        piece = room / f"workspace-{service}"
        piece.mkdir()
        piece.chmod(0o777)
        run(
            "services",
            *corpus,
            "workspace",
            "stage-in",
            *own,
            "--to",
            f"/room/{piece.name}",
            options=whole,
        )
        run(
            "extractor",
            "corpus",
            "--root",
            "/workspace",
            *own,
            options=["--volume", f"{piece}:/workspace"],
        )
        told = run(
            *(
                "services",
                *corpus,
                "workspace",
                "stage-out",
                *own,
                "--from",
                f"/room/{piece.name}",
                "--json",
            ),
            options=whole,
        )
    report = json.loads(told)
    assert report["samples"] == 2
    assert report["vectors"]["ember-v3"] >= 1
    assert report["vectors"]["corpus-v1"] >= 1


AIRFLOW = (*CODE, "--tmpfs", "/var/lib/airflow:uid=50000,gid=50000")


def test_airflow_starts_and_its_worker_has_what_it_imports():
    assert run("airflow", "airflow", "version", options=AIRFLOW).strip() == "3.3.2"
    assert "--without-mingle" in run(
        "airflow", "airflow", "celery", "worker", "--help", options=AIRFLOW
    )


def test_dags_plugins_and_runners_are_imported_from_the_mounted_code():
    script = """
import json, pkgutil, sys
sys.path.insert(0, "/opt/corpus-airflow/current/dags")
sys.path.insert(0, "/opt/corpus-airflow/current/plugins")
import corpus_update, corpus_services, corpus_plugin, operators.ui.cards, operators.runners.docker
import operators.container, airflow.providers.fab.auth_manager.fab_auth_manager
print(json.dumps([
    corpus_update.__file__, sys.modules["corpus"].__file__, sorted(corpus_update.collect.dag.task_ids),
]))
"""
    done = run("airflow", "python", "-c", script, options=AIRFLOW).splitlines()[-1]
    dag, corpus, tasks = json.loads(done)
    assert dag == "/opt/corpus-airflow/current/dags/corpus_update.py"
    assert corpus == "/opt/corpus-airflow/current/corpus/__init__.py"
    assert "publish" in tasks


def test_without_its_mount_airflow_has_no_code_of_another_release():
    said = run("airflow", "corpus", "--version", check=False)
    assert "No module named corpus" in said


@pytest.fixture
def secret(room: Path) -> Path:
    path = room / "password"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o644)
    return path


@pytest.fixture
def server(secret: Path) -> Iterator[Callable[..., str]]:
    """Starts redis or postgres with a password and a volume, and gives the container's name."""
    started: list[str] = []

    def start(image: str, variable: str, *options: str, command: Sequence[str] = ()) -> str:
        name = f"corpus-test-{image}-{uuid.uuid4().hex[:8]}"
        started.append(name)
        words = ["run", "--detach", "--name", name, *HARDENED, *options]
        docker(
            *(*words, "--volume", f"{secret}:/run/secrets/password:ro"),
            *("--env", f"{variable}=/run/secrets/password", f"corpus-{image}", *command),
        )
        return name

    yield start
    for name in started:
        docker("rm", "--force", "--volumes", name)


def until(works: Callable[[], bool], why: Callable[[], str]) -> None:
    for _ in range(240):
        if works():
            return
        time.sleep(0.25)
    raise AssertionError(why())


def redis(name: str, password: str, *words: str) -> str:
    return docker(
        "exec", "--env", f"REDISCLI_AUTH={password}", name, "redis-cli", *words, check=False
    ).stdout.strip()


def test_redis_asks_for_the_password_and_keeps_what_it_was_told(server: Callable[..., str]):
    name = server(
        "redis", "REDIS_PASSWORD_FILE", command=["--appendonly", "yes", "--appendfsync", "always"]
    )

    def answers() -> bool:
        return redis(name, PASSWORD, "ping") == "PONG"

    until(answers, lambda: docker("logs", name).stdout)
    assert (
        "WRONGPASS" in docker("exec", "--env", "REDISCLI_AUTH=x", name, "redis-cli", "ping").stderr
    )
    assert redis(name, "", "get", "key").startswith("NOAUTH")
    assert redis(name, PASSWORD, "set", "key", "kept") == "OK"
    assert PASSWORD not in docker("top", name).stdout
    docker("kill", name)
    docker("start", name)
    until(answers, lambda: docker("logs", name).stdout)
    assert redis(name, PASSWORD, "get", "key") == "kept"
    docker("stop", "--time", "20", name)
    # 0 of its own, not 137 of being killed after the time to stop.
    assert docker("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip() == "0"


def psql(name: str, password: str, query: str) -> subprocess.CompletedProcess[str]:
    # From outside the socket: what compose's other containers do.
    words = ["psql", "--host", "127.0.0.1", "--username", "airflow", "--no-align", "--tuples-only"]
    own = ["exec", "--env", f"PGPASSWORD={password}", name, *words, "--command", query, "airflow"]
    return docker(*own, check=False)


def test_postgres_makes_its_database_once_and_asks_for_the_password(server: Callable[..., str]):
    name = server("postgres", "POSTGRES_PASSWORD_FILE")

    def answers() -> bool:
        return psql(name, PASSWORD, "select 1").stdout.strip() == "1"

    until(answers, lambda: docker("logs", name).stderr)
    assert "password authentication failed" in psql(name, "x", "select 1").stderr
    local = [
        "exec",
        "--env",
        "PGPASSWORD=x",
        name,
        "psql",
        "--username",
        "airflow",
        "--command",
        "select 1",
    ]
    assert "password authentication failed" in docker(*local, check=False).stderr
    psql(name, PASSWORD, "create table kept as select 42 as value")
    docker("kill", name)
    docker("start", name)
    until(answers, lambda: docker("logs", name).stderr)
    assert psql(name, PASSWORD, "select value from kept").stdout.strip() == "42"
    docker("stop", "--time", "30", name)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip() == "0"


def test_a_first_start_of_postgres_that_was_cut_short_begins_anew(
    server: Callable[..., str], room: Path
):
    data = room / "postgres"
    (data / "new").mkdir(parents=True)
    (data / "new" / "PG_VERSION").write_text("15\n")
    for path in (data, data / "new"):
        path.chmod(0o777)
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to the image's user")
    for path in (data, *data.rglob("*")):
        os.chown(path, 50_000, 50_000)
    name = server("postgres", "POSTGRES_PASSWORD_FILE", "--volume", f"{data}:/var/lib/postgresql")
    until(
        lambda: psql(name, PASSWORD, "select 1").stdout.strip() == "1",
        lambda: docker("logs", name).stderr,
    )
    assert not (data / "new").exists()


def test_postgres_without_a_password_says_what_it_lacks():
    said = run("postgres", "start-postgres", check=False)
    assert "POSTGRES_PASSWORD_FILE: names the file with the password of airflow" in said
