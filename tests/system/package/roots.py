"""A Debian 12 of its own for a test: changed at will, and nothing of it outlasts the test."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.system.package.packages import REPO

# All mounts are of this one process's name space, so none is left however it ends. No network: what is installed
# here needs none.
_ENTER = """
set -e
mount -t overlay overlay -o "lowerdir=$BASE,upperdir=$FOLDER/upper,workdir=$FOLDER/work" "$FOLDER/root"
mount -t proc proc "$FOLDER/root/proc"
mount --rbind /dev "$FOLDER/root/dev"
[ -z "$TMPFS" ] || mount -t tmpfs tmpfs "$FOLDER/root$TMPFS"
exec chroot "$FOLDER/root" "$@"
"""
_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND": "noninteractive",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
}


def base(folder: Path) -> Path:
    """A clean root that others are laid over, made where it is not there; half a minute."""
    script = REPO / "tests" / "system" / "package" / "root.sh"
    if not folder.is_dir() or folder.stat().st_mtime < script.stat().st_mtime:
        subprocess.run(["sh", script, folder], check=True)
        os.utime(folder)
    return folder


@dataclass(frozen=True)
class Root:
    """A root over a base; only what differs from that is stored, below `folder / "upper"`."""

    base: Path
    folder: Path

    def __post_init__(self) -> None:
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(parents=True)

    def __call__(
        self, *command: str, umask: int = 0o022, tmpfs: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in it to its end; what it says, on either stream, is in `stdout`.

        `tmpfs` names a folder that is a file system of its own, empty at first, while the program runs.
        """
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--net", "sh", "-c", _ENTER, "sh", *command],
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            umask=umask,
            env={
                **_ENVIRONMENT,
                "BASE": str(self.base),
                "FOLDER": str(self.folder),
                "TMPFS": tmpfs,
            },
        )

    def says(self, *command: str, tmpfs: str = "") -> str:
        """What a program that succeeds prints, without the last newline."""
        done = self(*command, tmpfs=tmpfs)
        assert done.returncode == 0, done.stdout
        return done.stdout.rstrip("\n")

    def install(
        self, deb: Path, *options: str, umask: int = 0o022
    ) -> subprocess.CompletedProcess[str]:
        """Have apt install a file."""
        place = self.folder / "upper" / "packages"
        place.mkdir(exist_ok=True)
        shutil.copy(deb, place)
        command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *options]
        return self(*command, f"/packages/{deb.name}", umask=umask)

    def files(self) -> set[str]:
        """All there is, but what dpkg and apt keep for themselves."""
        own = ("./var/lib/dpkg", "./var/lib/apt", "./var/cache", "./var/log", "./packages")
        found = self.says("find", ".", "-xdev", "-not", "-path", "./proc*").splitlines()
        return {name for name in found if not name.startswith(own)}
