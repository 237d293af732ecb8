"""The engine goes away for a while, as for a restart with live-restore: containers go on."""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from corpus.errors import BadSettingError, PassingFaultError
from operators.containers.task_containers import Ended
from tests.system.cluster.containers.flaky import FlakySocket, flaky
from tests.system.cluster.containers.world import World

# A number each 20 ms, on both outputs in turns.
COUNTING = (
    "for n in $(seq 0 2 199); do echo $n; sleep 0.02; echo $((n + 1)) >&2; sleep 0.02; done; exit 5"
)


def again_after(way: FlakySocket, seconds: float) -> None:
    def later() -> None:
        time.sleep(seconds)
        way.up()

    way.cut()
    threading.Thread(target=later).start()


@pytest.mark.parametrize("seconds", [0.0, 1.0, 6.0])
def test_output_and_status_of_a_container_survive(world: World, seconds: float) -> None:
    """Away for a moment, for a while, and until after the container has ended."""
    seen: list[str] = []
    with flaky(world.work / "way.sock") as way, world.containers(seen.append, url=way.url) as task:
        write = task.say

        def say(line: str) -> None:
            write(line)
            if line == "60":
                again_after(way, seconds)

        task.say = say
        ended = task.run("run", world.spec(COUNTING))
    assert ended == Ended(5)
    numbers = [int(line) for line in seen if re.fullmatch(r"\d+", line)]
    # What was on its way when it was cut may come twice, or not at all: that is a line or two.
    assert len(set(numbers)) >= 198
    assert len(numbers) <= 202
    assert len(world.created()) == 1
    assert world.nothing_left()


def test_a_task_is_ended_while_the_engine_is_away(world: World) -> None:
    seen: list[str] = []
    with flaky(world.work / "way.sock") as way, world.containers(seen.append, url=way.url) as task:
        write = task.say

        def say(line: str) -> None:
            write(line)
            if line == "60":
                again_after(way, 1.0)
                task.stop()

        task.say = say
        assert task.run("run", world.spec(COUNTING)) == Ended(128 + signal.SIGTERM)
    assert world.nothing_left()


def test_a_task_waits_for_an_engine_that_is_not_there_yet(world: World) -> None:
    seen: list[str] = []
    with flaky(world.work / "way.sock") as way:
        again_after(way, 2.0)
        with world.containers(seen.append, url=way.url) as task:
            assert task.run("run", world.spec("true")) == Ended(0)
    assert seen[0] == f"The Docker engine at {way.url} does not answer: waiting for it."
    assert seen[1].startswith("The Docker engine answers, after ")
    assert world.nothing_left()


def test_an_engine_that_stays_away_is_a_passing_fault(world: World, tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/nobody.sock"
    with pytest.raises(PassingFaultError, match="does not answer") as caught:
        world.containers(print, url=url, wait_s=0.5).__enter__()
    assert "docker" in str(caught.value.hint)


def test_a_worker_that_may_not_use_the_socket_is_told_so_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Root may use any socket.
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(BadSettingError, match="may not talk to the Docker engine") as caught:
        world.containers(print).__enter__()
    monkeypatch.undo()
    assert "group" in str(caught.value.hint)
