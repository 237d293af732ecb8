"""A repository of git for a test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from corpus.contract.version import describe


class Checkout:
    """A repository of git with a package `corpus`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "corpus").mkdir(parents=True)
        (folder / "corpus" / "__init__.py").write_text('"""Text."""\n')
        self.git("init", "-q", "-b", "main")
        self.git("add", ".")
        self.commit("First")

    def git(self, *arguments: str) -> str:
        who = {
            f"GIT_{role}_{what}": "a@b.example"
            for role in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        command = ["git", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false", *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **who},
        )
        return done.stdout.strip()

    def commit(self, subject: str) -> None:
        self.git("commit", "-q", "--allow-empty", "-m", subject)

    @property
    def digits(self) -> str:
        return "g" + self.git("rev-parse", "HEAD")[:7]

    @property
    def version(self) -> str:
        return describe(self.folder).debian
