"""What engines say of themselves: a client that answers as one does, and none at all.

tests/system has the real engine.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.common.doctor import docker
from deploy.common.doctor.docker import Engine
from deploy.common.doctor.finding import ok, wrong

pytestmark = pytest.mark.fast

AWAY = wrong("No engine.", "Start it.")
GOOD: dict[str, Any] = {
    "ServerVersion": "20.10.24+dfsg1", "Driver": "overlay2", "DockerRootDir": "/none", "CgroupVersion": "2",
    "MemoryLimit": True, "PidsLimit": True, "CpuCfsQuota": True, "LiveRestoreEnabled": True,
    "ClientInfo": {"Plugins": [{"Name": "buildx", "Version": "0.1"}, {"Name": "compose", "Version": "v2.40.3"}]},
}  # fmt: skip

Answering = Callable[..., Engine]


@pytest.fixture
def answering(tmp_path: Path) -> Answering:
    """An engine whose client prints what is given; `ps` lists the containers."""

    def make(
        info: dict[str, Any] | None, *, fault: str = "", ps: str = "", first: str = ""
    ) -> Engine:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (tmp_path / "info").write_text(json.dumps(info) if info else "")
        (tmp_path / "ps").write_text(ps)
        client = folder / "docker"
        client.write_text(
            "#!/bin/sh\n"
            f"echo called >> '{tmp_path}/calls'\n"
            f"[ \"$1\" != ps ] || exec cat '{tmp_path}/ps'\n"
            f"{first}\n"
            f"echo '{fault}' >&2\n"
            f"exec cat '{tmp_path}/info'\n"
        )
        client.chmod(0o755)
        return Engine({**os.environ, "PATH": f"{folder}:/usr/bin:/bin"})

    return make


def test_a_good_engine(answering: Answering, tmp_path: Path):
    engine = answering(GOOD)
    assert docker.engine(engine, AWAY).what == "20.10.24+dfsg1, control groups version 2"
    assert docker.compose(engine, AWAY).what == "v2.40.3"
    for check in (docker.storage, docker.limits, docker.live_restore):
        assert check(engine).status == "ok"
    # It is asked once.
    assert (tmp_path / "calls").read_text().splitlines() == ["called"]


@pytest.mark.parametrize(
    ("change", "check", "status"),
    [
        ({"ServerVersion": "19.03.8"}, lambda one: docker.engine(one, AWAY), "wrong"),
        ({"Driver": "vfs"}, docker.storage, "warn"),
        ({"MemoryLimit": False}, docker.limits, "warn"),
        ({"PidsLimit": False}, docker.limits, "warn"),
        ({"LiveRestoreEnabled": False}, docker.live_restore, "warn"),
        ({"ClientInfo": {"Plugins": None}}, lambda one: docker.compose(one, AWAY), "wrong"),
        ({"ClientInfo": {"Plugins": [{"Name": "compose", "Version": "v2.3.0"}]}},
         lambda one: docker.compose(one, ok("")), "wrong"),
    ],
)  # fmt: skip
def test_an_engine_that_is_not_as_it_must_be(
    change: dict[str, Any], check: Callable[[Engine], docker.Answer], status: str, answering: Answering
):  # fmt: skip
    found = check(answering({**GOOD, **change}))
    assert found.status == status
    assert found.do


def test_no_client(tmp_path: Path):
    engine = Engine({"PATH": str(tmp_path)}, tmp_path / "docker.sock")
    assert docker.engine(engine, AWAY) == AWAY
    for check in (docker.storage, docker.limits, docker.live_restore, docker.socket_folder):
        assert check(engine).what == "no engine answers, so this is not looked at"


def test_a_user_who_may_not(answering: Answering):
    fault = "permission denied while trying to connect to the docker API"
    found = docker.engine(answering(None, fault=fault), AWAY)
    assert found.status == "wrong"
    assert "sudo usermod --append --groups docker " in found.do


def test_an_engine_that_takes_its_time(answering: Answering, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(docker, "_ANSWER_S", 0.2)
    engine = answering(GOOD, first="exec sleep 60")
    found = docker.engine(engine, AWAY)
    assert found.status == "warn"
    assert "`docker info` did not end within" in found.what
    assert docker.storage(engine).status == "ok"


def test_an_engine_elsewhere(tmp_path: Path):
    engine = Engine({"DOCKER_HOST": "tcp://other:2375", "PATH": ""}, tmp_path / "docker.sock")
    assert docker.socket_folder(engine).do == "Type this: unset DOCKER_HOST"


def test_a_socket_with_too_long_a_path(answering: Answering, tmp_path: Path):
    engine = answering(GOOD)
    engine.socket = tmp_path / ("x" * 100) / "docker.sock"
    assert "too long a path for a socket" in docker.socket_folder(engine).what


def test_a_port_that_is_held(answering: Answering):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        asked = (port, "127.0.0.1", "corpus", "PORT=NUMBER")
        found = docker.port(answering(GOOD), *asked)
        assert found.status == "wrong"
        assert f"(process {os.getpid()})" in found.what
        assert found.do == "Stop that, or choose another port: PORT=NUMBER"
        other = docker.port(answering(GOOD, ps="other\tother-api-server-1\n"), *asked)
        assert "held by the container other-api-server-1" in other.what
        own = docker.port(answering(GOOD, ps="corpus\tcorpus-api-server-1\n"), *asked)
        assert own.what == f"{port} of 127.0.0.1 is this cluster's own"
    assert docker.port(answering(GOOD), *asked).status == "ok"


def test_an_address_of_another_machine(answering: Answering):
    # Of a network that is for documentation.
    found = docker.port(answering(GOOD), 8080, "192.0.2.1", "corpus", "PORT=NUMBER")
    assert (found.status, found.do) == ("wrong", "Change CORPUS_API_ADDRESS.")
