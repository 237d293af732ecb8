"""What the command says of a host where no engine is; tests/system/package asks a real one."""

from __future__ import annotations

import json

import pytest

from tests.deploy.host.conftest import Host

pytestmark = pytest.mark.usefixtures("without_docker")


def test_releases_and_jobs_are_told_without_docker(host: Host, capsys: pytest.CaptureFixture[str]):
    host.install("1.0.0", "1.1.0")
    host("clean-database")
    capsys.readouterr()
    assert host("status", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["current"], found["previous"]) == ("1.1.0", "1.0.0")
    assert found["releases"] == ["1.0.0", "1.1.0"]
    assert found["since"].endswith("+00:00")
    assert found["tried"] == "5 files compile, DAGs not loaded: images.airflow is empty"
    assert found["containers"] == []
    assert found["engine_fault"] == "There is no program docker on this host."
    assert found["jobs"]["reap"] is None
    assert found["jobs"]["clean-database"]["status"] == "off"
    host("status")
    told = capsys.readouterr().out
    assert told.startswith("current   1.1.0, since ")
    assert "\ntried     5 files compile, DAGs not loaded" in told
    assert "There is no program docker on this host." in told


def test_a_failure_is_shown_with_its_reason(host: Host, capsys: pytest.CaptureFixture[str]):
    host.set("database", days=30)
    (host.folder / "compose.yaml").write_text("services: {}\n")
    assert host("clean-database") == 75
    assert "There is no program docker on this host." in capsys.readouterr().err
    host("status")
    line = next(line for line in capsys.readouterr().out.splitlines() if "clean-database" in line)
    assert "failed" in line
    assert line.endswith("There is no program docker on this host.")


def test_an_empty_host_says_what_to_do(host: Host, capsys: pytest.CaptureFixture[str]):
    assert host("status") == 0
    assert "current   none: run `corpus-airflow install`" in capsys.readouterr().out
    assert host("releases") == 0


def test_without_a_compose_file(host: Host, capsys: pytest.CaptureFixture[str]):
    assert host("reap") == 0
    assert "Off: no compose file" in capsys.readouterr().out
    host.set("database", days=30)
    assert host("clean-database") == 2
    assert "There is no compose file" in capsys.readouterr().err


def test_a_reaper_that_is_not_wanted_is_off(host: Host, capsys: pytest.CaptureFixture[str]):
    (host.folder / "compose.yaml").write_text("services: {}\n")
    host.set("reaper", enabled=False)
    assert host("reap") == 0
    assert "Off: reaper.enabled is false." in capsys.readouterr().out
    state = json.loads((host.folder / "state" / "reap.json").read_text())
    assert state["status"] == "off"


def test_a_worker_host_without_docker_says_so(host: Host, capsys: pytest.CaptureFixture[str]):
    (host.folder / "compose.yaml").write_text("services: {}\n")
    assert host("reap") == 75
    assert "There is no program docker on this host." in capsys.readouterr().err
