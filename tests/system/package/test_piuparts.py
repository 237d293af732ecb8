"""piuparts: install, upgrade from the version before, remove and purge; nothing is left, nothing else changed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.build.package.repository import KEY_FILE
from tests.system.package.apt_host import published
from tests.system.package.packages import REPO
from tests.system.package.roots import base

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="piuparts makes roots, as root"),
    pytest.mark.skipif(not shutil.which("piuparts"), reason="piuparts is not installed"),
    pytest.mark.timeout(1200),
]


def archive() -> str:
    """Where this machine has Debian from: piuparts looks there for what it installs beside."""
    script = REPO / "tests" / "system" / "package" / "sources.sh"
    lines = subprocess.run(["sh", script], check=True, capture_output=True, text=True).stdout
    (found,) = [line for line in lines.splitlines() if line.endswith(" bookworm main")]
    return f"{found.split()[1]} main"


def test_it_comes_and_goes_and_leaves_nothing(deb: Path, older_deb: Path, tmp_path: Path):
    root = base(Path(os.environ.get("WORK", ".work")).absolute() / "package" / "root")
    packed = tmp_path / "root.tar.gz"
    subprocess.run(["tar", "-C", root, "--one-file-system", "-czf", packed, "."], check=True)
    public = published(tmp_path / "apt", older_deb).public
    source = f"deb [signed-by={public / KEY_FILE}] {public.as_uri()} bookworm main"
    log = tmp_path / "log"
    done = subprocess.run(
        [
            *("piuparts", "--basetgz", packed, "--distribution", "bookworm"),
            *("--mirror", archive(), "--extra-repo", source, "--bindmount", public),
            *("--no-eatmydata", "--log-file", log, deb),
        ],
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
    said = log.read_text()
    assert "PASS: Installation and purging test." in said
    assert "PASS: Installation, upgrade and purging tests." in said
    # The version before was there, and was upgraded.
    assert "over (0.0.1)" in said
