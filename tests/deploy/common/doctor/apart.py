"""A check made in a process of its own, whose user, limits, mounts and network are really other ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.common.doctor.finding import Answer

REPO = Path(__file__).resolve().parents[4]
NOBODY = 65534
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or "FAKEROOTKEY" in os.environ,
    reason="only root becomes another user, mounts, and bounds what a process may take",
)

_SCRIPT = """
import dataclasses, json, os, resource, socket, subprocess, sys, sysconfig, threading
from pathlib import Path
sys.path.insert(0, {repo!r})
from deploy.common.doctor import account, debian, docker, files, folders, interpreter, machine, network
from deploy.common.doctor.finding import ok, wrong

# Read now: a user may not reach it later.
sysconfig.get_path("include")

def mount(folder, options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)

def become(uid):
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)

{first}
print(json.dumps(dataclasses.asdict({check})))
"""


def ask(
    check: str,
    first: str = "",
    *,
    unshare: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Answer:
    """Return what a check answers where `first` was done before.

    :param check: the expression that makes it, with the names of the doctor's modules.
    :param unshare: of which namespaces it gets its own, as options of `unshare`: `--mount`, `--net`.
    """
    apart = ["unshare", *unshare] if unshare else []
    if apart and subprocess.run([*apart, "true"], capture_output=True).returncode:
        pytest.skip(f"{' '.join(apart)} is not allowed here")
    script = _SCRIPT.format(repo=str(REPO), check=check, first=first)
    done = subprocess.run(
        [*apart, sys.executable, "-c", script],
        capture_output=True, text=True, env=dict(environment) if environment is not None else None,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Answer(**json.loads(done.stdout.splitlines()[-1]))
