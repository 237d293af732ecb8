"""The source tree that a package is built of: the checkout's tracked files, with what git knows written down.

debian/changelog   versions and changes, from tags and commits
debian/revision    the commit
"""

from __future__ import annotations

import argparse
import os
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from corpus.contract.version import Version, describe
from deploy.build.git import git, is_changed
from deploy.build.package.changelog import NAME, changelog, epoch
from deploy.common.errors import BadSourceError


@dataclass(frozen=True)
class Source:
    """A tree that dpkg-buildpackage builds; `epoch` is its SOURCE_DATE_EPOCH, in seconds."""

    folder: Path
    version: Version
    revision: str
    epoch: int


def export(
    repo: Path, parent: Path, *, worktree: bool = False, version: Version | None = None
) -> Source:
    """Make `parent/corpus-airflow-VERSION`, of the last commit or of the tracked files as they are now.

    Modes and times of files are set, so that neither umask nor checkout shows. What was there under that name is
    replaced. Raises `BadSourceError`, and what `describe` does.
    """
    if version is None:
        if git(repo, "rev-parse", "--is-shallow-repository") == "true":
            raise BadSourceError(
                f"{repo} is a shallow clone, and the changelog needs the history: "
                "git fetch --unshallow --tags"
            )
        version = describe(repo, worktree=worktree)
    dirty = worktree and is_changed(repo)
    revision = git(repo, "rev-parse", "HEAD") + ("-dirty" if dirty else "")
    source = Source(parent / f"{NAME}-{version.debian}", version, revision, epoch(repo))
    shutil.rmtree(source.folder, ignore_errors=True)
    source.folder.mkdir(parents=True)
    if worktree:
        _copy(repo, source.folder)
    else:
        _archive(repo, source.folder)
    control = source.folder / "debian" / "control"
    if not control.is_file():
        shutil.rmtree(source.folder)
        raise BadSourceError(
            f"The last commit of {repo} holds no debian/control: commit it, or --worktree"
        )
    debian = source.folder / "debian"
    text = changelog(repo, version, control.read_text(encoding="utf-8"))
    (debian / "changelog").write_text(text, encoding="utf-8")
    (debian / "revision").write_text(f"{revision}\n", encoding="utf-8")
    settle(source)
    return source


def settle(source: Source) -> None:
    """Give all files the modes and the time that a build of them has, whoever changed them."""
    for path in (source.folder, *source.folder.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
        os.utime(path, (source.epoch, source.epoch), follow_symlinks=False)


def _archive(repo: Path, folder: Path) -> None:
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        git(repo, "archive", f"--output={file.name}", "HEAD")
        with tarfile.open(file.name) as archive:
            archive.extractall(folder)  # noqa: S202 - made by git a moment ago


def _copy(repo: Path, folder: Path) -> None:
    for name in git(repo, "ls-files", "-z").split("\0"):
        file = repo / name
        if name and (file.is_file() or file.is_symlink()):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, folder / name, follow_symlinks=False)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--worktree", action="store_true", help="tracked files as they are, not the last commit"
    )
    parser.add_argument(
        "--version", type=Version.parse, help="instead of what git describes, as 1.4.0rc1"
    )
    parser.add_argument("--work", type=Path, default=Path(".work"), help="the work folder")


def main(options: argparse.Namespace) -> int:
    source = export(
        Path.cwd(),
        options.work / "package",
        worktree=options.worktree,
        version=options.version,
    )
    print(source.folder)
    return 0
