"""What keeps the sandbox's parent and its root apart from a child."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.sandbox import confine

REPO = Path(__file__).parents[3]
_COMMAND = """
import atexit, ctypes
from corpus.cli import main
# PR_GET_DUMPABLE
atexit.register(lambda: print("dumpable", ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)))
main(["--version"])
"""


def test_the_command_is_hidden_from_others_of_its_user() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "dumpable 0"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up what is root's")
@pytest.mark.parametrize("capability", ["kill", "setgid", "setuid"])
def test_root_without_the_right_to_change_its_user_is_told_so(capability: str) -> None:
    code = (
        "from corpus.sandbox import Sandbox\n"
        "with Sandbox('hashlib:md5') as box:\n"
        "    print([outcome.reason for outcome in box.map([('a', b'x')])])\n"
    )
    done = subprocess.run(
        ["setpriv", "--bounding-set", f"-{capability}", sys.executable, "-c", code],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "lacks the right to drop root" in done.stderr
    # An md5 object is no JSON: the child has run, and answered.
    assert done.stdout == "['error']\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is exempt from the limit of processes")
def test_what_a_child_has_left_behind_ends_with_it() -> None:
    # Nothing is in its way: a root that stays root, and no filter.
    code = (
        "from corpus.sandbox import Sandbox\n"
        "from corpus.sandbox.barriers import Barriers\n"
        "from tests.support.sandboxes import alive, gone\n"
        "barriers = Barriers(landlock=0, system_calls=False)\n"
        "with Sandbox('sandbox_functions:behave', recycle_after=1, barriers=barriers) as box:\n"
        "    (left,) = box.map([('a', b'leave 600')])\n"
        "    print(gone(left.value))\n"
        "    (left,) = box.map([('b', b'leave 600')])\n"
        "print(gone(left.value))\n"
    )
    done = subprocess.run(
        ["setpriv", "--bounding-set", "-setuid", sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{REPO}:{REPO / 'tests' / 'support'}"},
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "True\nTrue\n", done.stderr


def test_who_is_not_root_has_nothing_to_drop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert confine.can_drop_root()
