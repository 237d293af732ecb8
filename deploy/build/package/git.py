"""Questions to git, and what it says when it has no answer."""

from __future__ import annotations

import subprocess
from pathlib import Path

from deploy.build.package.errors import BadSource


def git(repo: Path, *arguments: str) -> str:
    """What git prints, without the last newline. Raises `BadSource`."""
    command = ["git", "-C", str(repo), *arguments]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise BadSource("git is not installed: apt-get install git") from None
    if done.returncode:
        raise BadSource(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")


def is_changed(repo: Path) -> bool:
    """Whether tracked files differ from the last commit."""
    return bool(git(repo, "status", "--porcelain", "--untracked-files=no"))
