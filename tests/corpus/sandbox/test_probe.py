"""A parser that was taken over: a probe tries all that the table of docs/operate/security.md denies."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corpus.sandbox import landlock
from tests.support.probe_parent import acts

REPO = Path(__file__).parents[3]
# A user who owns nothing; not `nobody`, to whom root's children change.
_USER = 12_345
# What is there: all of it, a Landlock of its first version, none.
KERNELS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "Landlock 1": {"landlock": 1},
    "no Landlock": {"landlock": 0},
}
# What holds where a container allows no filters of system calls, or libseccomp is missing.
WITHOUT_FILTERS = {
    *("abstract", "become_root", "bpf", "capabilities", "change_root", "clone3", "connect"),
    *("create", "environment", "execute", "folder", "forks", "grandchild", "link", "list"),
    *("memory", "memory_file", "mount", "namespaces", "network_back", "network_back_by_process"),
    *("openat2", "overwrite", "own_channel", "performance", "pipe", "read", "remove", "rename"),
    *("root", "symlink", "take_descriptor", "thread", "trace", "truncate", "vfork", "vm_read"),
}


@pytest.fixture(scope="module")
def code() -> Iterator[Path]:
    """The code of corpus and probe, where any user may read it; it needs no library."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        place = Path(folder)
        place.chmod(0o755)
        for name in ("corpus", "tests/support"):
            shutil.copytree(REPO / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        yield place


@functools.cache
def probed(code: Path, as_root: bool, barriers: str) -> dict[str, Any]:
    """What became of each act, by a sandbox with these barriers whose parent is root or not."""
    python = sys.executable
    user: dict[str, Any] = {}
    if not as_root and os.geteuid() == 0:
        # It may not enter root's folders, where the interpreter may be.
        python = "/usr/bin/python3"
        user = {"user": _USER, "group": _USER, "extra_groups": []}
        version = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
        if subprocess.run(version, check=False).returncode:
            pytest.skip("Python 3.11 is nowhere that another user may enter")
    done = subprocess.run(
        [python, "-B", "-m", "tests.support.probe_parent", f'{{"barriers": {barriers}}}'],
        env={"PYTHONPATH": str(code), "PATH": os.environ["PATH"]},
        cwd=code,
        capture_output=True,
        text=True,
        check=False,
        **user,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "said": done.stderr}


@pytest.fixture(params=["root", "user"])
def as_root(request: pytest.FixtureRequest) -> bool:
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("only root can be root")
    return bool(request.param == "root")


@pytest.fixture(params=KERNELS)
def found(request: pytest.FixtureRequest, code: Path, as_root: bool) -> dict[str, Any]:
    return probed(code, as_root, json.dumps(KERNELS[request.param]))


def test_the_probe_runs(found: dict[str, Any]) -> None:
    assert found["acts"].pop("nothing", "nothing") == "nothing"


@pytest.mark.parametrize("act", acts())
def test_the_act_is_refused(found: dict[str, Any], act: str) -> None:
    assert found["acts"][act] == "refused"


def test_nothing_is_left_or_changed(found: dict[str, Any]) -> None:
    assert (found["left"], found["changed"]) == (0, False)


@pytest.mark.skipif(landlock.version() < 3, reason="this kernel has no Landlock that does it")
def test_landlock_alone_keeps_files_processes_and_the_network(code: Path, as_root: bool) -> None:
    without = probed(code, as_root, '{"system_calls": false}')
    refused = {act for act, what in without["acts"].items() if what == "refused"}
    assert WITHOUT_FILTERS - refused == set()
    assert without["left"] == 0


@pytest.mark.parametrize(
    ("barriers", "lacks"),
    [
        ({"landlock": 0}, "Landlock;"),
        ({"landlock": 1}, "all of Landlock after version 1;"),
        ({"system_calls": False}, "filters of system calls;"),
    ],
)
def test_what_is_lacking_is_said_in_one_line(
    code: Path, as_root: bool, barriers: dict[str, Any], lacks: str
) -> None:
    said = probed(code, as_root, json.dumps(barriers))["said"].splitlines()
    (line,) = [line for line in said if line.startswith("sandbox: this kernel or container lacks ")]
    assert lacks in line
    assert "docs/operate/security.md" in line


def test_each_act_is_in_the_table() -> None:
    page = (REPO / "docs/operate/security.md").read_text()
    section = page.split("## The process sandbox", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    named = re.findall(r"`(\w+)`", " ".join(row[3] for row in rows if len(row) == 4))
    assert sorted(named) == acts()
