"""Pinned wheels: real, harmless executables for the demo and the benchmarks, kept as they come."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy.common.shell import run


@dataclass(frozen=True)
class Wheel:
    """A wheel of one content: its file name, sha256, and size in bytes."""

    name: str
    sha256: str
    size: int

    @property
    def requirement(self) -> str:
        project, version = self.name.split("-")[:2]
        return f"{project}=={version}"

    @property
    def platform(self) -> str:
        """The platform it is for, as pip names it; `any` where it is for all."""
        return self.name.removesuffix(".whl").rsplit("-", 1)[-1]

    def is_in(self, folder: Path) -> bool:
        """Whether it lies in a folder, whole."""
        path = folder / self.name
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == self.sha256


def download(wheels: Iterable[Wheel], folder: Path) -> Iterator[tuple[Wheel, bool]]:
    """Bring wheels into a folder, and tell of each whether it is there; those that are stay.

    What is under way lies in a folder `.incoming`, and moves when its digest is right: whenever it
    is stopped, the next call goes on from there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    incoming = folder / ".incoming"
    with ThreadPoolExecutor(4) as pool:

        def bring(wheel: Wheel) -> tuple[Wheel, bool]:
            return wheel, wheel.is_in(folder) or _download(wheel, incoming, folder)

        yield from pool.map(bring, wheels)
    shutil.rmtree(incoming, ignore_errors=True)


def _download(wheel: Wheel, incoming: Path, folder: Path) -> bool:
    own = incoming / wheel.sha256[:12]
    own.mkdir(parents=True, exist_ok=True)
    platform = [] if wheel.platform == "any" else ["--platform", wheel.platform]
    run(
        [
            sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
            "--only-binary=:all:", "--python-version", "3.11", *platform, "--retries", "1",
            "--dest", str(own), wheel.requirement,
        ]
    )  # fmt: skip
    if not wheel.is_in(own):
        return False
    (own / wheel.name).replace(folder / wheel.name)
    return True
