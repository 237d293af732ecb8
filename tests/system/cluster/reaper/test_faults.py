"""Nothing is removed while it is not known what is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from corpus.errors import PassingFaultError
from operators.reaper.airflow_api import TaskKey
from operators.reaper.reaper import Reaper
from operators.reaper.report import Report
from tests.system.cluster.containers.flaky import flaky
from tests.system.cluster.reaper.world import World, command, environment, passes


def test_nothing_is_removed_while_airflow_does_not_answer(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    task = world.task(7)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    folder, container = world.claim(task), world.run(task)
    reaper = world.reaper()
    reaper.look()
    world.airflow.stop()
    try:
        for _ in range(2):
            with pytest.raises(PassingFaultError, match="cannot be asked"):
                reaper.look()
        assert world.has(container)
        assert folder.is_dir()
        # Tokens of before a change of the secret are refused; the reaper fetches another.
        world.airflow.secret = "only-for-another-test-" * 3
    finally:
        world.airflow.start()

    reaper.look()

    assert not world.has(container)
    assert not folder.exists()


def test_nothing_is_removed_by_a_user_who_may_not_see_the_tasks(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = world.task(8)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    container = world.run(task)
    password = tmp_path / "password"
    password.write_text("n-secret")
    reaper = world.reaper(api_user="nobody", api_password_file=str(password))

    counts = passes(reaper)

    assert world.has(container)
    assert counts.unknown == 1
    assert capsys.readouterr().out.count("the role Viewer") == 1


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("api_password_file", "/nonexistent", "cannot be read"),
        ("api_user", "reader2", "no token: status 401"),
        ("api_url", "http://127.0.0.1:9", "cannot be asked"),
        ("api_url", "{url}/elsewhere", "no token: status 4"),
    ],
)
def test_a_wrong_setting_removes_nothing(world: World, setting: str, value: str, says: str) -> None:
    task = world.task(9)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    container = world.run(task)
    environment = {
        **os.environ,
        "CORPUS_DOCKER__SCRATCH": str(world.root),
        "CORPUS_DOCKER__HOST": world.host,
        "CORPUS_REAPER__IMAGES_DAYS": "0",
        "CORPUS_REAPER__API_URL": world.airflow.url,
        "CORPUS_REAPER__API_USER": "reader",
        "CORPUS_REAPER__API_PASSWORD_FILE": str(world.airflow.password_file),
        f"CORPUS_REAPER__{setting.upper()}": value.format(url=world.airflow.url),
    }

    done = command(environment, "--once", "--grace", "0")

    assert done.returncode in (2, 75), done.stdout + done.stderr
    assert says in done.stderr
    assert world.has(container)


def test_a_wrong_password_is_found_before_there_is_anything_to_ask(
    world: World, tmp_path: Path
) -> None:
    (password := tmp_path / "password").write_text("guess")

    with pytest.raises(PassingFaultError, match="no token: status 401"):
        world.reaper(api_password_file=str(password)).look()


def test_an_engine_that_is_away_removes_nothing(world: World, tmp_path: Path) -> None:
    task = world.task(24)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    folder = world.claim(task)
    here = environment(world) | {"CORPUS_DOCKER__URL": f"unix://{tmp_path}/no.sock"}

    done = command(here, "--once", "--grace", "0")

    assert done.returncode == 75
    assert "does not answer" in done.stderr
    assert folder.is_dir()


def test_an_engine_that_comes_back_is_asked_again(world: World, tmp_path: Path) -> None:
    task = world.task(25)
    world.airflow.set(TaskKey.of(task), "failed", 1, 3)
    folder, container = world.claim(task), world.run(task)
    with flaky(tmp_path / "docker.sock") as way:
        settings = world.airflow.settings(
            docker={"scratch": str(world.root), "url": way.url}, reaper={"images_days": 0}
        )
        reaper = Reaper(settings, Report(), grace_s=0)
        reaper.look()
        way.cut()
        with pytest.raises(PassingFaultError, match="does not answer"):
            reaper.look()
        assert world.has(container)
        assert folder.is_dir()
        # Another socket by the same name, as a restarted engine makes.
        way.up()
        reaper.look()
    assert not world.has(container)
    assert not folder.exists()
