"""debian/tests, by autopkgtest: in a clean Debian 12 without a network, with a real Airflow beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.system.package.apt_host import AptHost, published
from tests.system.package.packages import REPO, source
from tests.system.package.roots import Root, base

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="a test bed is made by root"),
    pytest.mark.skipif(not shutil.which("autopkgtest"), reason="autopkgtest is not installed"),
    pytest.mark.timeout(1800),
]

WORK = Path(os.environ.get("WORK", ".work")).absolute()
# Every mount ends with the process that has this name space, and so does the network: there is none but loopback.
BED = """
set -e
mount -t overlay overlay -o "lowerdir=$BASE,upperdir=$FOLDER/upper,workdir=$FOLDER/work" "$FOLDER/root"
mount --rbind /dev "$FOLDER/root/dev"
mount -t proc proc "$FOLDER/root/proc"
mkdir -p "$FOLDER/root$AIRFLOW"
mount --bind "$AIRFLOW" "$FOLDER/root$AIRFLOW"
mount -o remount,bind,ro "$FOLDER/root$AIRFLOW"
exec "$@" -- chroot "$FOLDER/root"
"""


@pytest.fixture(scope="module")
def airflow() -> Path:
    """An environment with requirements/run.lock, on the interpreter that a clean root has too."""
    folder = WORK / "package" / "airflow"
    environment = {**os.environ, "VENV": str(folder), "PYTHON": "/usr/bin/python3"}
    subprocess.run(["sh", REPO / "deploy/scripts/setup.sh", "run"], check=True, env=environment)
    return folder


def test_the_tests_of_debian_pass(deb: Path, airflow: Path, tmp_path: Path):
    root = Root(base(WORK / "package" / "root"), tmp_path / "bed")
    host = AptHost(root, published(tmp_path / "apt", deb))
    assert host.update().returncode == 0
    # Just the tests: for a whole source tree autopkgtest wants the tools to build it.
    tests = source(tmp_path / "source").folder / "debian" / "tests"
    shutil.copytree(tests, tmp_path / "tree" / "debian" / "tests")
    done = subprocess.run(
        [
            *("unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", BED, "sh"),
            *("autopkgtest", "--user=nobody", "--output-dir", tmp_path / "output"),
            *(f"--env=CORPUS_AIRFLOW_PYTHON={airflow}/bin/python", tmp_path / "tree"),
        ],
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={
            **os.environ,
            "BASE": str(root.base),
            "FOLDER": str(root.folder),
            "AIRFLOW": str(airflow),
        },
    )
    assert done.returncode == 0, done.stdout[-20_000:]
    summary = (tmp_path / "output" / "summary").read_text().split()
    assert summary == ["dags", "PASS", "update", "PASS", "command", "PASS"]
