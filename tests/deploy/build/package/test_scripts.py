"""Shell scripts of the package and of its tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fast

REPO = Path(__file__).resolve().parents[4]
SCRIPTS = [
    *sorted(path for path in (REPO / "debian").glob("p*") if path.stem in {"postinst", "postrm", "preinst", "prerm"}),
    *sorted((REPO / "tests" / "system" / "package").glob("*.sh")),
]  # fmt: skip


def test_scripts_are_what_shellcheck_likes():
    beside = Path(sys.executable).with_name("shellcheck")
    shellcheck = str(beside) if beside.exists() else shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    assert len(SCRIPTS) > 3
    done = subprocess.run([shellcheck, *SCRIPTS], check=False, capture_output=True, text=True)
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_stops_at_what_fails(script: Path):
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/bin/sh"
    assert "set -e" in lines or "set -eu" in lines
