"""What of a host would get in the way of the cluster's containers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.host.settings import Compose, Settings
from deploy.host.verbs import doctor
from tests.deploy.host.conftest import Host

pytestmark = pytest.mark.fast


def found(host: Host, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    status = host("doctor", "--json")
    read = json.loads(capsys.readouterr().out)
    assert all(list(one) == ["name", "status", "what", "do"] for one in read)
    assert all(one["status"] in ("ok", "warn", "wrong") for one in read)
    assert all(bool(one["do"]) == (one["status"] != "ok") for one in read)
    assert status == (3 if any(one["status"] == "wrong" for one in read) else 0)
    return {one["name"]: one for one in read}


def test_a_host_without_containers(host: Host, capsys: pytest.CaptureFixture[str]):
    told = found(host, capsys)
    assert "so no container of the cluster runs here" in told["engine"]["what"]
    assert "images" not in told
    assert str(host.folder) in told["disk of logs"]["what"]
    host("doctor")
    table = capsys.readouterr().out
    assert f"{len(told)} things looked at" in table
    assert table.startswith(("ok     memory ", "warn   memory "))


def test_a_host_whose_engine_is_away(
    host: Host, without_docker: None, capsys: pytest.CaptureFixture[str]
):
    (host.folder / "compose.yaml").write_text("services: {}\n")
    told = found(host, capsys)
    assert told["engine"]["status"] == "wrong"
    assert "systemctl start docker" in told["engine"]["do"]
    assert told["images"]["what"] == "no engine answers, so this is not looked at"
    assert told["compose files"]["what"] == str(host.folder / "compose.yaml")
    host.set("compose", env_file=str(host.folder / "cluster.env"))
    assert "cluster.env is missing" in found(host, capsys)["compose files"]["what"]


def test_a_variable_that_wins_over_the_sites(
    host: Host,
    without_docker: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    (host.folder / "compose.yaml").write_text("image: ${CORPUS_IMAGE_PREFIX:-}a:${CORPUS_TAG}\n")
    (host.folder / "cluster.env").write_text("CORPUS_TAG=1.4.0\n")
    host.set("compose", env_file=str(host.folder / "cluster.env"))
    monkeypatch.setenv("CORPUS_TAG", "1.4.0")
    monkeypatch.setenv("CORPUS_OTHER", "is read by no file")
    assert found(host, capsys)["variables"]["status"] == "ok"
    monkeypatch.setenv("CORPUS_TAG", "1.5.0")
    monkeypatch.setenv("CORPUS_IMAGE_PREFIX", "")
    told = found(host, capsys)["variables"]
    assert (told["status"], told["do"]) == (
        "warn",
        "Type this: unset CORPUS_IMAGE_PREFIX CORPUS_TAG",
    )


def test_the_settings_that_tasks_read(
    host: Host, without_docker: None, capsys: pytest.CaptureFixture[str]
):
    host.folder.chmod(0o755)
    settings = host.folder / "settings"
    (settings / "conf.d").mkdir(parents=True)
    (host.folder / "compose.yaml").write_text("")
    (host.folder / "cluster.env").write_text(f"CORPUS_SETTINGS='{settings}'\n")
    host.set("compose", env_file=str(host.folder / "cluster.env"))
    assert found(host, capsys)["corpus settings"]["what"] == "none yet"
    (settings / "conf.d" / "site.toml").write_text("[store\n")
    told = found(host, capsys)["corpus settings"]
    assert told["status"] == "wrong"
    assert f"{settings / 'conf.d' / 'site.toml'} is not TOML" in told["what"]


def test_what_is_looked_at_by_default_is_this_machine():
    names = {one.name for one in doctor.look(Settings(compose=Compose(file="/none")))}
    assert {"memory", "clock", "packages", "disk of releases", "corpus settings"} <= names
    assert Path("/none").exists() is False
