"""Questions to git, and what it says when it has no answer."""

from __future__ import annotations

from pathlib import Path

from deploy.common.errors import BadSourceError, ProgramMissingError
from deploy.common.shell import run


def git(repo: Path, *arguments: str) -> str:
    """What git prints, without the last newline. Raises `BadSourceError`."""
    command = ["git", "-C", str(repo), *arguments]
    try:
        done = run(command)
    except ProgramMissingError:
        raise BadSourceError("git is not installed: apt-get install git") from None
    if done.returncode:
        raise BadSourceError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")


def is_changed(repo: Path) -> bool:
    """Whether tracked files differ from the last commit."""
    return bool(git(repo, "status", "--porcelain", "--untracked-files=no"))
