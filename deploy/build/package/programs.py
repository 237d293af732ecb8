"""Programs of Debian's that packaging takes: are they here, and what do they say."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

from deploy.build.package.errors import ProgramFailed, ToolsMissing

# The Debian package of each, where it bears another name.
_PACKAGES = {
    "dpkg-deb": "dpkg",
    "gpg": "gnupg",
    "gpgconf": "gnupg",
}
_LAST_LINES = 15


def need(*programs: str) -> None:
    """Raises `ToolsMissing`, which says what to install."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        packages = sorted({_PACKAGES.get(program, program) for program in missing})
        raise ToolsMissing(
            f"{', '.join(missing)} cannot be found here. Type this, then try again:\n"
            f"    apt-get install --no-install-recommends {' '.join(packages)}"
        )


def output(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """What a program prints. Raises `ProgramFailed` with what it said last."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[-_LAST_LINES:]
        raise ProgramFailed(
            f"{' '.join(command[:3])} ... ended with status {done.returncode}:\n" + "\n".join(said)
        )
    return done.stdout
