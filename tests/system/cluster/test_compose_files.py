"""The compose files as compose understands them; no container is started."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.common.errors import ClusterError
from deploy.local.cluster import credentials
from deploy.local.cluster.compose import FILES, Compose, docker
from deploy.local.cluster.configuration import images
from deploy.local.cluster.timings import Phases
from deploy.local.cluster.up import ensure_images
from deploy.local.cluster.workdir import REPO, Place
from tests.system.cluster.secrets import forms

EXAMPLE = REPO / "docker" / "cluster.env.example"
PRODUCTION, LAPTOP = FILES
# What a person runs, and ends by itself.
JOBS = {"init": "init", "corpus": "tools"}
ALL = {"api-server", "scheduler", "dag-processor", "triggerer", "worker", "reaper", *JOBS}

pytestmark = pytest.mark.skipif(not shutil.which("docker"), reason="there is no docker command")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    found = Place(tmp_path_factory.mktemp("work"))
    found.write_settings({"CORPUS_SECRETS": str(found / "secrets")})
    credentials.generate(found / "secrets")
    return found


def services(compose: Compose) -> dict[str, dict[str, Any]]:
    try:
        rendered: dict[str, dict[str, Any]] = compose.config()["services"]
    except ClusterError as error:
        if "no Docker engine" in str(error):
            pytest.skip(str(error))
        raise
    return rendered


@pytest.fixture(scope="module")
def production(place: Place) -> dict[str, dict[str, Any]]:
    return services(Compose(place, [PRODUCTION]))


@pytest.fixture(scope="module")
def laptop(place: Place) -> dict[str, dict[str, Any]]:
    return services(Compose(place))


def test_redis_and_postgres_are_a_laptops(production: dict[str, Any], laptop: dict[str, Any]):
    assert set(production) == ALL
    assert set(laptop) == ALL | {"redis", "postgres"}


def test_a_host_can_run_any_part_alone(production: dict[str, Any]):
    assert not any(service.get("depends_on") for service in production.values())


def test_airflow_gets_the_pattern_of_run_ids_as_it_is_written(production: dict[str, Any]):
    name = "AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN"
    for part in ("api-server", "scheduler", "worker", "init"):
        assert production[part]["environment"][name] == r"^[A-Za-z0-9_.~:+-]{1,200}\Z", part


def test_all_are_hardened_bounded_and_restarted(laptop: dict[str, Any]):
    for name, service in laptop.items():
        assert service["restart"] == ("no" if name in JOBS else "unless-stopped"), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert "privileged" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"] == "50000:50000", name
        assert service["init"] is True, name
        assert int(service["mem_limit"]) >= 2**28, name
        assert service["pids_limit"] > 0, name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}, name
        assert service["stop_grace_period"] == ("15m0s" if name == "worker" else "1m0s"), name
        assert ("healthcheck" in service) == (name not in JOBS), name


def test_only_the_ui_is_reached_from_outside_and_only_from_this_machine(laptop: dict[str, Any]):
    published = {name: service["ports"] for name, service in laptop.items() if "ports" in service}
    assert set(published) == {"api-server"}
    assert {port["host_ip"] for port in published["api-server"]} == {"127.0.0.1"}


def test_only_workers_and_the_reaper_reach_the_engine(laptop: dict[str, Any]):
    def sees(service: dict[str, Any]) -> bool:
        return any("corpus-engine" in mount["target"] for mount in service.get("volumes", []))

    assert {name for name, service in laptop.items() if sees(service)} == {"worker", "reaper"}
    assert {name for name, service in laptop.items() if service.get("group_add")} == {
        "worker",
        "reaper",
    }


def test_what_is_not_written_is_mounted_read_only(laptop: dict[str, Any]):
    writable = {
        (name, mount["target"])
        for name, service in laptop.items()
        for mount in service.get("volumes", [])
        if not mount.get("read_only")
    }
    scratch, logs, engine = (
        "/var/lib/corpus-airflow/scratch",
        "/var/lib/airflow/logs",
        "/run/corpus-engine",
    )
    assert writable == {
        *((name, logs) for name in ("scheduler", "dag-processor", "triggerer", "worker", "init")),
        *((name, folder) for name in ("worker", "reaper") for folder in (scratch, engine)),
        ("postgres", "/var/lib/postgresql"),
        ("redis", "/data"),
        ("init", "/run/corpus-users"),
        ("corpus", "/var/lib/corpus-airflow/corpus"),
    }


def test_every_secret_is_a_file_that_its_readers_have(laptop: dict[str, Any]):
    for name, service in laptop.items():
        mounted = {secret["source"] for secret in service.get("secrets", [])}
        said = yaml.safe_dump([service.get("environment"), service.get("healthcheck")])
        assert set(re.findall(r"/run/secrets/(\w+)", said)) <= mounted, name


def test_tasks_cannot_reach_airflows_database(laptop: dict[str, Any]):
    assert {secret["source"] for secret in laptop["worker"]["secrets"]} == {
        "broker_url",
        "result_backend",
    }
    assert not any(name.startswith("AIRFLOW__DATABASE") for name in laptop["worker"]["environment"])


def test_no_call_of_the_cluster_goes_through_a_proxy(laptop: dict[str, Any]):
    """Whatever airflow.env or Docker's own configuration says: own names are those of all compose files."""
    own = set(laptop) - set(JOBS) | {"127.0.0.1", "localhost", "::1"}
    for name in ALL - {"corpus"}:
        environment = laptop[name]["environment"]
        # An empty name would mean all, to some libraries.
        assert set(environment["NO_PROXY"].split(",")) == own, name
        assert environment["no_proxy"] == environment["NO_PROXY"], name


def test_a_worker_host_has_one_setting_for_the_control_plane(tmp_path: Path):
    place = Place(tmp_path)
    place.write_settings(
        {"CORPUS_CONTROL_PLANE": "plane.example", "CORPUS_NO_PROXY": "s3.example,.corp"}
    )
    rendered = services(Compose(place, [PRODUCTION]))
    worker, reaper = (rendered[name]["environment"] for name in ("worker", "reaper"))
    assert (
        worker["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://plane.example:8080/execution/"
    )
    assert reaper["CORPUS_REAPER__API_URL"] == "http://plane.example:8080"
    for environment in (worker, reaper):
        assert {"plane.example", "s3.example", ".corp"} <= set(environment["NO_PROXY"].split(","))


def test_no_secret_is_in_what_compose_prints(place: Place):
    printed = Compose(place).run("--profile", "*", "config", capture=True)
    for file in (one for one in (place / "secrets").iterdir() if one.is_file()):
        for form in forms(file.read_text()):
            assert form not in printed, file.name


def test_only_a_person_starts_a_job(place: Place, production: dict[str, Any]):
    assert {name: production[name]["profiles"] for name in JOBS} == {
        name: [profile] for name, profile in JOBS.items()
    }
    default = Compose(place, [PRODUCTION]).run("config", "--services", capture=True)
    assert set(default.split()) == ALL - set(JOBS)


def test_the_example_has_every_setting_with_its_default():
    # A default may hold a variable with a default of its own; the lookahead finds both. Without the colon an empty
    # value is one.
    setting = re.compile(r"(?=\$\{([A-Z_0-9]+):?-((?:[^{}]|\{[^{}]*\})*)\})")
    found = dict(match for file in FILES for match in setting.findall(file.read_text()))
    # What a person does not choose.
    del found["CORPUS_CODE_DIGEST"]
    shown = dict(re.findall(r"^#([A-Z_0-9]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE))
    assert shown == found


def test_the_settings_of_a_person_win(tmp_path: Path):
    place = Place(tmp_path)
    place.write_settings({"CORPUS_WORKERS": "2", "AIRFLOW__CORE__PARALLELISM": "2"})
    (place / "site.env").write_text("AIRFLOW__CORE__PARALLELISM=7\n")
    place.write_settings({"CORPUS_WORKERS": "3", "AIRFLOW__CORE__PARALLELISM": "3"})
    rendered = services(Compose(place))
    assert rendered["worker"]["scale"] == 3
    assert rendered["scheduler"]["environment"]["AIRFLOW__CORE__PARALLELISM"] == "7"


def test_an_image_may_be_pinned_and_the_others_come_from_a_registry(tmp_path: Path):
    place = Place(tmp_path)
    pinned = "registry.example/team/corpus-services@sha256:" + 64 * "0"
    place.write_settings(
        {"CORPUS_IMAGE_PREFIX": "registry.example/", "CORPUS_SERVICES_IMAGE": pinned}
    )
    rendered = services(Compose(place))
    known = images(place.settings())
    assert known["services"] == pinned
    assert known["redis"] == "registry.example/corpus-redis:latest"
    worker = rendered["worker"]["environment"]
    assert worker["CORPUS_DOCKER__SERVICES_IMAGE"] == pinned
    assert worker["CORPUS_DOCKER__EXTRACTOR_IMAGE"] == known["extractor"]
    assert {rendered[name]["image"] for name in ALL - {"corpus"}} == {known["airflow"]}
    assert rendered["corpus"]["image"] == "registry.example/corpus-services:latest"
    assert {name: rendered[name]["image"] for name in ("redis", "postgres")} == {
        name: known[name] for name in ("redis", "postgres")
    }


def test_an_image_of_a_registry_is_pulled_and_not_built():
    try:
        docker("version")
    except ClusterError as error:
        pytest.skip(str(error))
    variables = {"CORPUS_IMAGE_PREFIX": "registry.invalid/", "CORPUS_IMAGE_TAG": "1.2"}
    with pytest.raises(ClusterError, match=r"docker pull registry\.invalid/corpus-services:1\.2"):
        ensure_images(Phases(), variables)


def test_settings_of_the_shell_do_not_leak_in(place: Place, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__LOGGING__LOGGING_LEVEL", "DEBUG")
    worker = services(Compose(place))["worker"]
    assert worker["environment"]["AIRFLOW__LOGGING__LOGGING_LEVEL"] == "INFO"


def test_linters_find_nothing():
    lint = Path(sys.executable).with_name("yamllint")
    if not lint.exists():
        pytest.skip("yamllint is not installed")
    done = subprocess.run([lint, "--strict", *FILES], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
