"""A process that goes on failing is asked to end, then killed; one that gets over it is left alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.container.health import patience as module
from deploy.container.health.patience import FAILURES, Patience

# Says when SIGTERM is taken, and ends by nothing but SIGKILL.
_STUBBORN = """\
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
print("ready", flush=True)
while True:
    time.sleep(60)
"""


@pytest.fixture
def stubborn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # No wait between the failures: what is counted is the failures.
    monkeypatch.setattr(module, "SECONDS", 0.0)
    process = subprocess.Popen([sys.executable, "-c", _STUBBORN], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def fail(process: subprocess.Popen[str], *, idle: bool = True) -> str:
    return Patience("worker").fail(process.pid, lambda: idle, list)


def test_it_is_asked_after_some_failures_then_killed(stubborn: subprocess.Popen[str]) -> None:
    for count in range(1, FAILURES):
        assert fail(stubborn) == f"failure {count} in a row"
    assert fail(stubborn) == "asked to end, so that it is started again"
    assert stubborn.stdout is not None
    assert stubborn.stdout.readline() == "asked\n"
    assert fail(stubborn, idle=False) == "will end when its tasks have ended"
    assert fail(stubborn) == "killed, because it did not end"
    assert stubborn.wait(60) == -signal.SIGKILL


def test_a_success_begins_the_count_anew(stubborn: subprocess.Popen[str]) -> None:
    fail(stubborn)
    Patience("worker").forget()
    assert fail(stubborn) == "failure 1 in a row"


def test_another_process_begins_the_count_anew(stubborn: subprocess.Popen[str]) -> None:
    fail(stubborn)
    assert Patience("worker").fail(stubborn.pid + 1, lambda: True, list) == "failure 1 in a row"
