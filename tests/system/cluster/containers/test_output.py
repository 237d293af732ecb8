"""A container that prints without end: what it costs the worker, and what is shown of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from tests.support.airflow_home import REPO
from tests.system.cluster.containers.world import World

# In a process of its own, so that the peak is the runner's.
MEASURED = """
import json, resource, sys
from pathlib import Path
from docker import APIClient
from operators.task_try import TaskTry
from tests.system.cluster.containers.world import URL, World
task = TaskTry.from_dict(eval(sys.argv[1]))
world = World(APIClient(base_url=URL, version="auto"), sys.argv[2], "", Path(sys.argv[3]), task, None)
seen = []
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with world.containers(seen.append, max_lines=1_000) as containers:
    spec = world.spec("yes 'line upon line' | head -n 10000000; echo the end")
    ended = containers.run("run", spec)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([ended.exit_status, len(seen), seen[-3:], after - before]))
"""


@pytest.mark.timeout(600)
def test_ten_million_lines_cost_the_worker_little(world: World) -> None:
    arguments = [str(asdict(world.task)), world.image, str(world.work)]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments],
        cwd=REPO,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    status, shown, last, grown_kib = json.loads(done.stdout)
    assert status == 0
    # The first thousand, a word a minute, and the last fifty.
    assert 1_050 < shown < 1_100
    assert last[:2] == ["line upon line", "the end"]
    assert last[2].endswith(" 10,000,001 lines.")
    assert grown_kib < 50 * 1024


def test_the_engine_s_own_log_is_bounded(world: World) -> None:
    options: list[dict[str, object]] = []

    def look(line: str) -> None:
        if line == "here":
            (container,) = world.live()
            found = world.client.inspect_container(container["Id"])
            options.append(found["HostConfig"]["LogConfig"])

    with world.containers(look) as containers:
        containers.run("run", world.spec("echo here; sleep 1"))
    assert options == [
        {"Type": "local", "Config": {"max-size": "10m", "max-file": "2", "compress": "false"}}
    ]
