"""Files that belong to the containers' user, made so by the engine: a person need not be root."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from deploy.local.cluster.compose import docker
from deploy.local.cluster.workdir import UID

# root inside, but able to change owners and to remove, and nothing else.
_RUN = (
    "run", "--rm", "--network", "none", "--user", "0:0", "--cap-drop", "ALL", "--cap-add", "CHOWN",
    "--cap-add", "DAC_OVERRIDE", "--cap-add", "FOWNER", "--security-opt", "no-new-privileges:true",
    "--read-only", "--entrypoint",
)  # fmt: skip


def hand_over(paths: Iterable[Path], image: str) -> None:
    """Give files and folders to the containers' user, and to the group of the caller.

    All are below one folder. Those that belong to that user already are left as they are.
    """
    foreign = [path for path in paths if path.stat().st_uid != UID]
    if not foreign:
        return
    parent = Path(os.path.commonpath([path.parent for path in foreign]))
    inside = [f"/mnt/{path.relative_to(parent)}" for path in foreign]
    owner = f"{UID}:{os.getgid()}"
    docker(*_RUN, "chown", "--volume", f"{parent}:/mnt", image, "--", owner, *inside)


def remove(folder: Path, image: str) -> None:
    """Remove a folder with all in it, whoever made it."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except PermissionError:
        docker(
            *(*_RUN, "find", "--volume", f"{folder}:/mnt", image),
            *("/mnt", "-mindepth", "1", "-delete"),
        )
        folder.rmdir()
