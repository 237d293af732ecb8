"""The wheelhouse: what the locks name, fetched by this machine's pip.

Images install from it without a network. So a mirror, a proxy or a certificate that pip is set up with
here serves them too, and none of that enters an image.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.utils import (
    NormalizedName,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from deploy.common.errors import BuildError
from deploy.common.shell import run_logged, say

REQUIREMENTS = Path("requirements")
# What brings it all, and what is installed of it: the tools that install, then a lock an image.
COMPLETE = ("build", "run")
PARTS = ("build", "extractor", "services", "airflow")
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", re.MULTILINE)

Pin = tuple[NormalizedName, str]


def lock(name: str) -> Path:
    return REQUIREMENTS / f"{name}.lock"


def pins(name: str) -> set[Pin]:
    """Project and version of each package that a lock names."""
    found = _PINNED.findall(lock(name).read_text())
    return {(canonicalize_name(project), version) for project, version in found}


def is_fresh(folder: Path) -> bool:
    """Whether the folder holds what the locks of now name."""
    stamp = folder / ".locks"
    return stamp.is_file() and stamp.read_text() == _digest()


def fetch(folder: Path) -> None:
    """Bring what is missing, check all of it against the locks' hashes, remove the rest.

    Raises `ProgramError` if pip does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".locks").unlink(missing_ok=True)
    wanted = set().union(*(pins(name) for name in COMPLETE))
    for path, pin in _files(folder):
        if pin not in wanted:
            path.unlink()
    say(f"Fetching {len(wanted)} packages into {folder} (about 380 MB the first time)")
    collected = 0

    def count(line: str) -> str | None:
        nonlocal collected
        collected += line.startswith("Collecting ")
        return (
            f"{collected} of {len(wanted)}"
            if line.startswith("Collecting ") and collected % 50 == 0
            else None
        )

    files = [word for name in COMPLETE for word in ("--requirement", str(lock(name)))]
    run_logged(
        "pip download",
        [
            *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check"),
            *("--progress-bar", "off", "--no-deps", "--require-hashes"),
            *("--dest", str(folder), *files),
        ],
        folder.with_name("wheels.log"),
        tell=count,
    )
    (folder / ".locks").write_text(_digest())


def link(wheels: Path, part: str, folder: Path) -> None:
    """Make a folder of one lock and of what it names, as hard links into the wheelhouse.

    One for each image, since a build step is done again when anything of the folder it is given changes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lock").write_bytes(lock(part).read_bytes())
    by_pin = {pin: path for path, pin in _files(wheels)}
    for pin in pins(part):
        if pin not in by_pin:
            raise BuildError(f"{lock(part)} names {'=='.join(pin)}, run.lock another: `make lock`.")
        os.link(by_pin[pin], folder / by_pin[pin].name)


def _files(folder: Path) -> Iterator[tuple[Path, Pin]]:
    for path in sorted(folder.iterdir()):
        if path.suffix == ".whl":
            name, version, *_ = parse_wheel_filename(path.name)
        elif path.name.endswith((".tar.gz", ".zip")):
            name, version = parse_sdist_filename(path.name)
        else:
            continue
        yield path, (name, str(version))


def _digest() -> str:
    lines = (line for name in COMPLETE for line in lock(name).read_text().splitlines())
    pinned = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    return hashlib.sha256(pinned.encode()).hexdigest()
