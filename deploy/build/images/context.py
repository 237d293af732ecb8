"""The build context: a folder of just what a build reads, so that nothing else can enter an image."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from corpus.contract.version import code_of
from deploy.build.git import git
from deploy.build.images import wheelhouse
from deploy.common.errors import BuildError
from deploy.host.manifest import Manifest

# As in the Dockerfile: no time stamp of this checkout enters an image.
EPOCH = 1_735_689_600
# Our own code in Airflow's image: what runs there before, beside and without a release, and what that imports.
CONTAINER = (
    "deploy/__init__.py",
    "deploy/common/__init__.py",
    "deploy/common/atomic.py",
    "deploy/common/base_url.py",
    "deploy/common/errors.py",
    "deploy/common/shell.py",
    "deploy/container",
)
# All that an image is made of: files that differ from the commit make a build `-dirty`.
_INPUTS = ("corpus", "docker", "requirements", "setup.py", *CONTAINER)
# Beside the recipe: folders of the stages that bind them. The compose files are no part of an image.
_STAGES = ("root", "python", "airflow", "redis", "postgres")
_NO_SOURCE = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


def make_context(folder: Path, wheels: Path) -> None:
    """Put the recipes, the corpus's source and the wheels together, replacing what was there.

    Modes and times of files are set, so that neither umask nor checkout shows in a layer.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for part in wheelhouse.PARTS:
        wheelhouse.link(wheels, part, folder / "wheels" / part)
    for stage in _STAGES:
        shutil.copytree(Path("docker") / stage, folder / "docker" / stage, ignore=_NO_SOURCE)
    shutil.copy("docker/Dockerfile", folder / "docker")
    for name in CONTAINER:
        _copy(Path(name), folder / name)
    shutil.copytree("corpus", folder / "source" / "corpus", ignore=_NO_SOURCE)
    shutil.copy("setup.py", folder / "source")
    # What setup.py takes the version from, since the context is not a checkout.
    source = folder / "source"
    Manifest.of(source, version(), revision()).write(source)
    for part in ("deploy", "docker", "source"):
        for path in (folder / part, *(folder / part).rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
            os.utime(path, (EPOCH, EPOCH))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=_NO_SOURCE)
    else:
        shutil.copy(source, target)


def version() -> str:
    """The version of this checkout as it is, as Python writes it."""
    return code_of(Path.cwd()).version


def revision() -> str:
    """The commit of this checkout, `-dirty` if what enters an image differs from it; else unknown."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return "unknown"
    changed = _git("status", "--porcelain", "--", *_INPUTS)
    return f"{commit}-dirty" if changed else commit


def _git(*arguments: str) -> str:
    try:
        return git(Path.cwd(), *arguments)
    except BuildError:
        return ""
