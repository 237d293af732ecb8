"""The base of all images: Debian's own from a registry, or one made here if none is reached."""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from pathlib import Path

from deploy.build.images.client import Client
from deploy.common.errors import BuildError
from deploy.common.shell import run_logged, say

DEBIAN = "debian:bookworm-slim"
_RECIPE = Path(__file__).with_name("base.sh")
# Another recipe is another base.
OWN = f"corpus-base:bookworm-{hashlib.sha256(_RECIPE.read_bytes()).hexdigest()[:8]}"


def base_image(client: Client, asked: str | None) -> str | None:
    """The image to build on: what is asked for, else Debian's or our own, whichever is here or can
    be pulled. None if one has to be made, by `make_base`."""
    if asked:
        return asked
    for name in (DEBIAN, OWN):
        if client.image(name):
            return name
    say(f"Pulling {DEBIAN}")
    return DEBIAN if client.pull(DEBIAN) else None


def make_base(client: Client, work: Path) -> str:
    """Make the smallest Debian with debootstrap, import it, and return its name.

    `work` is the folder `images` of the work folder.
    As small as the image from the registry: no manuals, no translations, no lists of packages.
    Raises `BuildError` for anyone but root, `ProgramError` if debootstrap fails.
    """
    if os.geteuid() != 0:
        # This interpreter, since the system's own may lack what building takes.
        command = [
            sys.executable,
            "-m",
            "deploy.build.images",
            "--work",
            str(work.parent),
            "--only-base",
        ]
        raise BuildError(
            f"No registry gives {DEBIAN}, and making a base takes root. Type this, then try again:\n"
            f"    sudo {shlex.join(command)}"
        )
    say(f"No registry gives {DEBIAN}: making {OWN} with debootstrap (half a minute)")
    run_logged(
        "Making a base",
        ["sh", str(_RECIPE), str(work / "base"), client.path, OWN],
        work / "base.log",
        tell=_progress,
    )
    return OWN


def _progress(line: str) -> str | None:
    steps = ("I: Retrieving InRelease", "I: Extracting base", "I: Configuring dpkg", "== ")
    return line.removeprefix("I: ").removeprefix("== ") if line.startswith(steps) else None
