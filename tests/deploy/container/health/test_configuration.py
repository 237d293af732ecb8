"""Airflow's settings as a health check reads them: a variable, or a command that prints the value."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.container.health.configuration import setting
from deploy.container.health.errors import HealthError

VALUE = "AIRFLOW__CELERY__BROKER_URL"
COMMAND = f"{VALUE}_CMD"


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (VALUE, COMMAND):
        monkeypatch.delenv(name, raising=False)


def test_a_variable_wins_over_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VALUE, "redis://one")
    monkeypatch.setenv(COMMAND, "echo redis://two")
    assert setting("celery", "broker_url") == "redis://one"


def test_a_command_gives_what_a_secrets_file_holds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broker_url").write_text("redis://three\n")
    monkeypatch.setenv(COMMAND, f"cat {tmp_path / 'broker_url'}")
    assert setting("celery", "broker_url") == "redis://three"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("cat /no/such/file", f"{COMMAND} ended with status 1: cat: /no/such/file"),
        ("no-such-program", f"{COMMAND}: There is no program no-such-program"),
    ],
)
def test_a_command_that_fails_is_named(
    command: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(COMMAND, command)
    with pytest.raises(HealthError) as caught:
        setting("celery", "broker_url")
    assert str(caught.value).startswith(message)


def test_neither_is_told_and_a_default_is_taken() -> None:
    assert setting("celery", "broker_url", "none") == "none"
    with pytest.raises(HealthError, match=f"neither {VALUE} nor {COMMAND} is set"):
        setting("celery", "broker_url")
