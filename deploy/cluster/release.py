"""The bundle's code as a release: a copy that no later edit touches, and the link `current` to it."""

from __future__ import annotations

import compileall
import hashlib
import os
import shutil
from pathlib import Path

PACKAGES = ("corpus", "dags", "operators", "plugins")
KEPT = 3


def release(repo: Path, code: Path) -> str:
    """Make `current` the code as it is now; returns its digest.

    A running update keeps the files it has open; what is imported later is the new release's.
    """
    digest = _digest(repo)
    releases = code / "releases"
    target = releases / digest
    if not target.is_dir():
        partial = releases / f".{digest}.{os.getpid()}"
        for package in PACKAGES:
            shutil.copytree(
                repo / package, partial / package, ignore=shutil.ignore_patterns("__pycache__")
            )
        # Containers cannot write beside the code, and would compile it in each process.
        compileall.compile_dir(
            partial, quiet=2, stripdir=str(partial), prependdir="/opt/corpus-airflow/current"
        )
        partial.rename(target)
    _point(code / "current", Path("releases", digest))
    os.utime(target)
    for old in sorted(releases.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old)
    return digest


def _digest(repo: Path) -> str:
    """sha256 of all files' names and contents, its first 16 digits."""
    total = hashlib.sha256()
    for package in PACKAGES:
        for file in sorted((repo / package).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                total.update(f"{file.relative_to(repo)}\0{content}\n".encode())
    return total.hexdigest()[:16]


def _point(link: Path, target: Path) -> None:
    """Change a link in one step; relative, so that it holds inside a container too."""
    if link.is_symlink() and link.readlink() == target:
        return
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
