"""Debian's programs that packaging needs: check that they are installed, and read what they print."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from deploy.common import shell
from deploy.common.errors import ToolsMissingError

# The Debian package of each, where it bears another name.
_PACKAGES = {
    "dpkg-deb": "dpkg",
    "gpg": "gnupg",
    "gpgconf": "gnupg",
}


def need(*programs: str) -> None:
    """Check that programs are installed. Raises `ToolsMissingError`, which says what to install."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        packages = sorted({_PACKAGES.get(program, program) for program in missing})
        raise ToolsMissingError(
            f"{', '.join(missing)} cannot be found here. Type this, then try again:\n"
            f"    apt-get install --no-install-recommends {' '.join(packages)}"
        )


def output(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a program, and return what it prints, in no language but English. Raises `ProgramError`."""
    return shell.output(
        command, environment={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})}
    )
