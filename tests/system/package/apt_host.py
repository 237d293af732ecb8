"""A root whose only source of packages is a repository of ours, with its key pinned."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from deploy.build.package.repository import KEY_FILE, Repository
from tests.system.package.roots import Root

KEY = f"/etc/apt/keyrings/{KEY_FILE}"


class AptHost:
    """A root that sees a copy of the repository's public part: what a mirror would have."""

    def __init__(self, root: Root, repository: Repository) -> None:
        self.root = root
        upper = root.folder / "upper"
        self.mirror = upper / "srv" / "apt"
        self.sync(repository)
        etc = upper / "etc" / "apt"
        (etc / "keyrings").mkdir(parents=True)
        shutil.copy(repository.public / KEY_FILE, upper / KEY[1:])
        (etc / "sources.list").write_text(f"deb [signed-by={KEY}] file:///srv/apt bookworm main\n")

    def sync(self, repository: Repository) -> None:
        """Make the mirror what the repository is now."""
        shutil.rmtree(self.mirror, ignore_errors=True)
        shutil.copytree(repository.public, self.mirror)

    def update(self) -> subprocess.CompletedProcess[str]:
        """Have apt read the index; an error of it is one of the command."""
        return self.root("apt-get", "update", "-q", "--error-on=any")

    def install(self, package: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *options]
        return self.root(*command, package)

    @property
    def version(self) -> str | None:
        """What dpkg says is installed."""
        done = self.root(
            "dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", "corpus-airflow"
        )
        return done.stdout.removeprefix("ii ") if done.returncode == 0 else None

    @property
    def current(self) -> str:
        return self.root.says("readlink", "/var/lib/corpus-airflow/releases/current")


def published(folder: Path, *debs: Path, key: Path | None = None) -> Repository:
    """A repository below a folder, with some packages."""
    repository = Repository(folder)
    repository.add(debs, key)
    return repository
