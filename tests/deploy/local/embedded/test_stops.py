"""What ends a command, and what does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deploy.local.embedded.environment import REPO

pytestmark = pytest.mark.fast

BEGIN = """
import os, signal
from deploy.local.embedded.stops import heed_stops
"""
WORK = """
heed_stops()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
os.kill(os.getpid(), signal.SIGTERM)
os.kill(os.getpid(), signal.SIGHUP)
try:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGHUP})
    for _ in range(1000):
        pass
finally:
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000):
        pass
    print("cleaned")
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BEGIN + script],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_at_once_and_another_do_not_cut_the_cleaning_short():
    done = run(WORK)
    assert done.stdout == "cleaned\n"
    assert done.returncode in (128 + 1, 128 + 15)


def test_what_nohup_ignores_stays_ignored():
    done = run("""
signal.signal(signal.SIGHUP, signal.SIG_IGN)
heed_stops()
os.kill(os.getpid(), signal.SIGHUP)
print("went on")
""")
    assert (done.returncode, done.stdout) == (0, "went on\n")
