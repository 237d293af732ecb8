"""deploy/scripts/apt.sh beside another program that has apt's locks."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[3]
LOCK = Path("/var/lib/dpkg/lock-frontend")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not LOCK.exists(), reason="only root of a Debian may hold dpkg's lock"
)


@pytest.fixture
def lock() -> Iterator[int]:
    """dpkg's lock, as apt takes it; held until it is closed."""
    descriptor = os.open(LOCK, os.O_RDWR)
    fcntl.lockf(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


def apt(*words: str, **environment: str) -> subprocess.Popen[str]:
    # It takes the lock, and changes nothing.
    return subprocess.Popen(
        ["sh", "deploy/scripts/apt.sh", *words],
        cwd=REPO, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_it_waits_for_a_lock_and_says_for_whose(lock):
    with apt("install", "--no-download", "--no-upgrade", "-y", "dpkg") as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert "Waiting until another program has installed its packages" in said
        assert str(LOCK) in said
        fcntl.lockf(lock, fcntl.LOCK_UN)
        assert process.wait(120) == 0, process.stderr.read()


def test_it_does_not_wait_for_ever(lock):
    with apt("install", "--no-download", "--no-upgrade", "-y", "dpkg", APT_WAIT_S="0") as process:
        assert process.wait(120) != 0
        assert process.stderr is not None
        assert "Could not get lock" in process.stderr.read()


def test_another_error_is_shown_at_once():
    with apt(
        "install", "--no-download", "--no-upgrade", "-y", "no-such-package-anywhere"
    ) as process:
        assert process.wait(120) != 0
        assert process.stderr is not None
        assert "no-such-package-anywhere" in process.stderr.read()
