"""What does not come up is told with its own last words; tests/system/cluster damages a real Redis' log for it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from deploy.common.errors import ClusterError
from deploy.local.cluster import compose, trouble
from deploy.local.cluster.compose import Compose, Container
from deploy.local.cluster.trouble import last_words, wait_until_well
from deploy.local.cluster.workdir import Place

pytestmark = pytest.mark.fast

# An engine that starts a container again each time somebody looks.
DOCKER = """#!/bin/sh
case "$*" in
    *RestartCount*)
        echo x >> "$PLACE/looks"
        # One line for each container that it is asked for.
        shift 3
        for id in "$@"; do wc -l < "$PLACE/looks"; done ;;
    restart*) echo "$2" >> "$PLACE/restarted" ;;
    inspect*) printf 'worker: starting: not yet\\n\\nworker: waiting: Redis at redis:6379\\n\\n' ;;
    logs*)
        echo "2026-01-01T00:00:03.000000000Z # Bad file format: use redis-check-aof --fix"
        echo "2026-01-01T00:00:01.000000000Z Traceback" >&2
        printf '2026-01-01T00:00:02.000000000Z \\033[31mValueError\\033[0m\\n' >&2 ;;
esac
"""


class Looks(Compose):
    """A cluster that is as each look finds it, and stays as the last one does."""

    def __init__(self, *looks: list[Container]) -> None:
        super().__init__(Place(Path("/nowhere")))
        self.looks = list(looks)

    def ps(self) -> list[Container]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


@pytest.fixture(autouse=True)
def _engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker"
    program.write_text(DOCKER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PLACE", str(tmp_path))
    monkeypatch.setattr(compose, "_docker_config", lambda: str(tmp_path))
    monkeypatch.setattr(trouble.time, "sleep", lambda _: None)


def container(service: str, state: str = "running", health: str = "healthy") -> Container:
    return Container(f"{service}-id", f"corpus-{service}-1", service, state, health, f"{state}!")


def words(lines: Iterable[str]) -> list[str]:
    return list(lines)


def test_it_waits_until_all_are_well():
    starting = [container("redis", health="starting"), container("worker", health="starting")]
    wait_until_well(Looks([], starting, [container("redis"), container("worker")]), 60)


def test_what_the_engine_would_start_again_in_a_minute_is_started_now(tmp_path: Path):
    looks = Looks([container("redis", "restarting", ""), container("worker")], [container("redis")])
    wait_until_well(looks, 60)
    assert (tmp_path / "restarted").read_text() == "redis-id\n"


def test_what_is_caught_between_two_starts_is_not_well_yet():
    between = [container("redis", health=""), container("postgres")]
    with pytest.raises(ClusterError, match=r"redis\. The last that they said:"):
        wait_until_well(Looks(between), 1e9)


def test_others_are_not_waited_for():
    found = [container("redis"), container("worker", health="unhealthy")]
    wait_until_well(Looks(found), 60, ["redis"])


def test_what_is_started_again_and_again_is_told_at_once():
    with pytest.raises(ClusterError) as caught:
        wait_until_well(Looks([container("redis", "restarting", ""), container("worker")]), 1e9)
    said = str(caught.value)
    assert said.startswith("Not well after 0 s: redis. The last that they said:\n")
    assert "  corpus-redis-1: restarting!\n" in said
    assert "    # Bad file format: use redis-check-aof --fix\n" in said
    assert "worker" not in said
    assert 'make cluster-logs SERVICE="redis"' in said


def test_what_has_ended_for_good_is_told_at_once():
    with pytest.raises(ClusterError, match="corpus-worker-1: exited!"):
        wait_until_well(Looks([container("worker", "exited", "")]), 1e9)


def test_what_does_not_get_well_in_time_is_told():
    with pytest.raises(ClusterError, match="worker: waiting: Redis at redis:6379"):
        wait_until_well(Looks([container("worker", health="starting")]), 0)


def test_what_waits_for_another_part_has_time_once_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # No container is started again.
    (tmp_path / "docker").write_text(DOCKER.replace('wc -l < "$PLACE/looks"', "echo 0"))
    # Each look at the clock takes ten seconds.
    monkeypatch.setattr(trouble.time, "monotonic", itertools.count(0, 10).__next__)
    ill = container("worker", health="unhealthy")
    slow = [[container("api-server", health="starting"), ill]] * 8
    wait_until_well(
        Looks(
            *slow, [container("api-server"), ill], [container("api-server"), container("worker")]
        ),
        1e9,
    )
    with pytest.raises(ClusterError, match="worker: waiting: Redis"):
        wait_until_well(Looks(*slow, [container("api-server"), ill]), 1e9)


def test_last_words_come_in_order_and_move_no_cursor():
    assert words(last_words(container("redis", "restarting", ""))) == [
        "Traceback",
        "ValueError",
        "# Bad file format: use redis-check-aof --fix",
    ]
    # Of one that runs, its health check comes first.
    assert words(last_words(container("worker", health="unhealthy")))[0] == (
        "worker: waiting: Redis at redis:6379"
    )
