"""Packages for tests: this checkout's own, and others that differ from it in version or payload."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from corpus.contract.version import Version
from deploy.build.package.build import Built, build
from deploy.build.package.source import Source, export, settle

REPO = Path(__file__).resolve().parents[3]
# `make test-package WORKTREE=1`: the tracked files as they are, and not the last commit.
WORKTREE = bool(os.environ.get("WORKTREE"))
Change = Callable[[Path], None]


@cache
def checkout() -> Path:
    """What is tested: a clone, so that a commit made meanwhile does not count; or this checkout, as it is."""
    if WORKTREE:
        return REPO
    folder = Path(tempfile.mkdtemp(prefix="corpus-checkout-"))
    atexit.register(shutil.rmtree, folder)
    if _git(REPO, "rev-parse", "--is-shallow-repository").strip() == b"true":
        # As some CI systems clone. No package is made of such a one, since it does not know its version.
        files = _git(REPO, "archive", "HEAD")
        subprocess.run(["tar", "-x", "-C", folder], input=files, check=True)
        who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
        for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "All of it"]):
            _git(folder, *words)
    else:
        _git(REPO, "clone", "-q", "--shared", str(REPO), str(folder))
    return folder


def _git(folder: Path, *words: str) -> bytes:
    return subprocess.run(["git", "-C", folder, *words], check=True, stdout=subprocess.PIPE).stdout


def source(parent: Path, version: str | None = None, change: Change | None = None) -> Source:
    """The checkout's source tree, after `change` was called with its folder."""
    wanted = Version.parse(version) if version else None
    found = export(checkout(), parent, worktree=WORKTREE, version=wanted)
    if change:
        change(found.folder)
        settle(found)
    return found


class Packages:
    """Builds below one folder. A binary package takes some seconds, since the tests are left out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._built: dict[tuple[str, Change | None], Path] = {}

    def __call__(self, version: str, change: Change | None = None) -> Path:
        """The .deb of a version; `change` may alter the source tree, its payload say. Each is built once."""
        key = version, change
        if key not in self._built:
            place = self.folder / str(len(self._built))
            tree = source(place / "source", version, change)
            self._built[key] = build(tree, place, binary_only=True, check=False).deb
            shutil.rmtree(tree.folder)
        return self._built[key]

    def whole(self) -> Built:
        """This checkout's own, source package and tests included."""
        return build(source(self.folder / "source"), self.folder / "whole")
