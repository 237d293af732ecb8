"""deploy/scripts/engine.sh where none may be started; tests/system/cluster has what needs one."""

from __future__ import annotations

import os

import pytest

from tests.support.engine import engine

pytestmark = pytest.mark.fast

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")


def test_help_tells_the_commands():
    done = engine("ups")
    assert done.returncode == 2
    for command in ("up", "down", "restart", "status", "docker-config"):
        assert f"engine.sh {command} " in done.stderr


@needs_root
def test_who_is_not_root_is_told_what_to_type():
    hidden = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "ENGINE_FOLDER": "/nowhere"}
    done = engine("up", environment=hidden, user=65534)
    assert done.returncode == 1
    assert "sudo " in done.stderr
    assert "usermod --append --groups docker" in done.stderr


@needs_root
def test_status_says_that_there_is_none():
    hidden = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "ENGINE_FOLDER": "/nowhere"}
    done = engine("status", environment=hidden)
    assert (done.returncode, done.stdout) == (3, "No Docker engine answers.\n")
