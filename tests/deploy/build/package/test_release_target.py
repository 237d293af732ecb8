"""`make release`: what it signs is a commit's, and was tested."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[4]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """What make would do; variables of a make that runs this are none of its."""
    return subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *words],
        cwd=REPO,
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )


@pytest.mark.parametrize("word", ["NOCHECK=1", "WORKTREE=1"])
def test_a_release_is_refused_what_a_package_may_be_built_with(word: str):
    done = make("release", word)
    assert (done.returncode, done.stdout) == (2, "")
    assert "make release signs a commit that was tested: leave out NOCHECK and WORKTREE" in (
        done.stderr
    )
    assert done.stderr.count("\n") == 1
    assert make("deb", word).returncode == 0


def test_a_release_builds_then_signs():
    done = make("release")
    assert done.returncode == 0, done.stderr
    build, artifacts = (
        done.stdout.find(f"deploy.build.package {verb}") for verb in ("build", "artifacts")
    )
    assert 0 < build < artifacts
