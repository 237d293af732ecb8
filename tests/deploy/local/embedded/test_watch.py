"""When the Airflow somebody waits for is started again; a real one dies in test_embedded."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.common.airflow_api import AirflowApi
from deploy.common.errors import StartError
from deploy.local.embedded import watch as module
from deploy.local.embedded.server import EmbeddedAirflow, Running
from deploy.local.embedded.share import Share
from deploy.local.embedded.watch import Watch

pytestmark = pytest.mark.fast


class Fake(EmbeddedAirflow):
    """An Airflow that is as well as the test says, and notes its starts."""

    def __init__(self, work: Path):
        super().__init__(work)
        self.record: Running | None = Running(1, 8080)
        self.ill = ""
        self.alive = True
        self.starts: list[tuple[int | None, bool]] = []

    def recorded(self) -> Running | None:
        return self.record

    def ailing(self, running: Running) -> str:
        return self.ill

    def dead(self) -> list[str]:
        return [] if self.alive else ["scheduler"]

    def start(self, port: int | None = None, *, kept: bool = False) -> Running:
        self.starts.append((port, kept))
        self.record = Running(2, port or 0, kept)
        return self.record


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


@pytest.fixture
def airflow(tmp_path: Path) -> Fake:
    return Fake(tmp_path)


@pytest.fixture
def watch(airflow: Fake, clock: Clock) -> Watch:
    assert airflow.record
    api = AirflowApi(airflow.record.url, "", "")
    return Watch(airflow, Share(airflow.home), airflow.record, api)


def wait(watch: Watch, clock: Clock, seconds: int) -> None:
    for _ in range(seconds):
        clock.now += 1
        watch()


def test_what_is_alive_and_slow_gets_its_time_and_is_started_again_in_the_end(
    airflow, watch, clock
):
    airflow.ill = "not healthy: scheduler"
    wait(watch, clock, 290)
    assert airflow.starts == []
    wait(watch, clock, 30)
    assert airflow.starts == [(8080, False)]


def test_one_bad_look_after_a_long_silence_is_not_enough(airflow, watch, clock):
    clock.now += 1000
    airflow.ill = "its API does not answer"
    watch()
    airflow.ill = ""
    wait(watch, clock, 60)
    assert airflow.starts == []


def test_what_has_ended_is_started_again_on_the_same_port(airflow, watch, clock):
    airflow.ill, airflow.alive = "its API does not answer", False
    wait(watch, clock, 16)
    assert airflow.starts == [(8080, False)]


def test_what_was_kept_meanwhile_is_kept(airflow, watch, clock):
    airflow.record = Running(1, 8080, kept=True)
    airflow.ill, airflow.alive = "its API does not answer", False
    wait(watch, clock, 16)
    assert airflow.starts == [(8080, True)]


def test_what_was_stopped_on_purpose_stays_so(airflow, watch, clock):
    airflow.ill, airflow.record, airflow.alive = "its API does not answer", None, False
    with pytest.raises(StartError, match="make down"):
        wait(watch, clock, 16)
    assert airflow.starts == []


def test_what_another_command_started_again_is_followed(airflow, watch, clock, monkeypatch):
    other = Running(7, 9090)
    airflow.record = other
    monkeypatch.setattr(airflow, "ailing", lambda running: "" if running == other else "gone")
    airflow.alive = False
    wait(watch, clock, 16)
    assert airflow.starts == []
    assert watch._api.url == other.url


def test_what_dies_again_and_again_is_an_error(airflow, watch, clock):
    airflow.ill, airflow.alive = "its API does not answer", False
    with pytest.raises(StartError, match="died 4 times"):
        wait(watch, clock, 90)
    assert len(airflow.starts) == 3
