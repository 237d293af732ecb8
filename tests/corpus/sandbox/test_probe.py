"""A parser that was taken over: a probe tries all that the table of docs/operate/security.md denies."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).parents[3]
# A user who owns nothing; not `nobody`, to whom root's children change.
_USER = 12_345
PROCESSES = ("forks", "grandchild", "vfork", "clone3", "thread")
OTHERS = ("environment", "memory", "vm_read", "trace", "take_descriptor")
ROOT = ("root", "become_root", "capabilities", "network_back", "network_back_by_process")


@functools.cache
def probed(as_root: bool) -> dict[str, Any]:
    """What became of each act, by a sandbox whose parent is root or not."""
    python = sys.executable
    user: dict[str, Any] = {}
    if not as_root and os.geteuid() == 0:
        # It may not enter root's folders, where the interpreter may be.
        python = "/usr/bin/python3"
        user = {"user": _USER, "group": _USER, "extra_groups": []}
        version = [python, "-c", "import sys; print(*sys.version_info[:2])"]
        if subprocess.check_output(version).split() != [b"3", b"11"]:
            pytest.skip("Python 3.11 is nowhere that another user may enter")
    done = subprocess.run(
        [python, "-B", "-m", "tests.support.probe_parent", "{}"],
        env={"PYTHONPATH": f"{REPO}:{sysconfig.get_path('purelib')}", "PATH": os.environ["PATH"]},
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
        **user,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(params=["root", "user"])
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("only root can be root")
    return probed(request.param == "root")


@pytest.mark.parametrize("act", [*PROCESSES, *OTHERS, *ROOT])
def test_the_act_is_refused(found: dict[str, Any], act: str) -> None:
    assert found["acts"][act] == "refused"


def test_the_probe_runs(found: dict[str, Any]) -> None:
    assert found["acts"]["nothing"] == "nothing"


def test_no_process_is_left(found: dict[str, Any]) -> None:
    assert found["left"] == 0
