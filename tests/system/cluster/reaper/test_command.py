"""The reaper as it is started: in a loop, once, several at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from operators.containers import scratch
from operators.reaper.airflow_api import TaskKey
from tests.system.cluster.reaper.airflow_server import REPO
from tests.system.cluster.reaper.world import World, command, environment


def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    task = world.task(15)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    folder, container = world.claim(task), world.run(task)
    (crumb := world.root / f"{scratch.WITHDRAWN}x").mkdir()

    world.reaper(dry_run=True, grace=3600).once()

    said = capsys.readouterr().out
    assert said.count("would remove container") == 1
    assert said.count("would remove scratch folder") == 2
    assert world.has(container)
    assert folder.is_dir()
    assert crumb.is_dir()


def test_two_reapers_and_one_who_was_faster(world: World) -> None:
    tasks = [world.task(index) for index in range(16, 22)]
    for task in tasks:
        world.airflow.set(TaskKey.of(task), "failed", 1, 3)
        world.claim(task)
        world.run(task)
    others = [
        subprocess.Popen(
            [sys.executable, "-m", "operators.reaper", "--once", "--grace", "0"],
            env=environment(world),
            cwd=REPO,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = "".join(process.communicate()[0] for process in others)

    assert [process.returncode for process in others] == [0, 0], said
    assert not any(map(world.has, world.made))
    assert list(world.root.iterdir()) == []
    assert said.count("removed scratch folder") == 6


def test_it_runs_says_so_and_ends_at_once(world: World) -> None:
    task = world.task(23)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    folder, container = world.claim(task), world.run(task)
    here = environment(world) | {
        "CORPUS_REAPER__INTERVAL_S": "0.5",
        "CORPUS_REAPER__GRACE_S": "0",
    }
    assert command(here, "--health").returncode == 1
    process = subprocess.Popen(
        [sys.executable, "-m", "operators.reaper", "--json"],
        env=here,
        cwd=REPO,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said: list[dict[str, Any]] = []
    while sum(line["action"] == "removed" for line in said) < 2:
        said.append(json.loads(process.stdout.readline()))
    removed = {line["what"]: line for line in said if line["action"] == "removed"}
    assert removed["container"]["name"].startswith(container[:12])
    assert removed["scratch folder"]["name"] == folder.name
    assert removed["scratch folder"]["run_uuid"] == task.run_uuid
    while "pass" not in said[-1]["action"]:
        said.append(json.loads(process.stdout.readline()))
    assert command(here, "--health").returncode == 0

    process.send_signal(signal.SIGTERM)

    assert process.wait(10) == 0
    old = next(world.root.glob(".reaper-*"))
    os.utime(old, (time.time() - 3600,) * 2)
    assert command(here, "--health").returncode == 1
