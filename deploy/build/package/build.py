"""The build: a source tree in, source and binary package with their checksums out."""

from __future__ import annotations

import argparse
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.build.package import source as sources
from deploy.build.package.changelog import NAME
from deploy.build.package.source import Source, export
from deploy.common.digest import sha256
from deploy.common.errors import ToolsMissingError
from deploy.common.shell import run, run_logged, say

DIST = Path("dist")
_STEP = re.compile(r"^ *(dh_\w+|dpkg-source: info: building|dpkg-deb: building|=+ .* =+$)")


@dataclass(frozen=True)
class Built:
    """The files of a build, in one folder, all that was said meanwhile, and how long it took."""

    version: str
    files: list[Path]
    log: Path
    seconds: float

    @property
    def deb(self) -> Path:
        return next(file for file in self.files if file.suffix == ".deb")

    @property
    def changes(self) -> Path:
        return next(file for file in self.files if file.suffix == ".changes")


def build(source: Source, target: Path, *, binary_only: bool = False, check: bool = True) -> Built:
    """Build beside the source tree, then move what was built to `target`; without `check` no test is run.

    Raises `ToolsMissingError`, and `ProgramError` with the end of the log, which is beside the source tree too.
    """
    environment = _environment(source, check)
    _require_tools(source.folder, environment)
    parent, name = source.folder.parent, f"{NAME}_{source.version.debian}"
    for old in parent.glob(f"{name}[._]*"):
        old.unlink()
    # sh goes to the folder: the log and the environment are those of `run`.
    command = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(source.folder)]
    command += [
        "dpkg-buildpackage",
        "--no-sign",
        "--build=binary" if binary_only else "--build=full",
    ]
    log = parent / f"{name}.log"
    seconds = run_logged("dpkg-buildpackage", command, log, environment=environment, tell=_told)
    target.mkdir(parents=True, exist_ok=True)
    files = [Path(shutil.move(file, target / file.name)) for file in _results(parent, name)]
    return Built(source.version.debian, files, log, seconds)


def _environment(source: Source, check: bool) -> dict[str, str]:
    environment = {
        "SOURCE_DATE_EPOCH": str(source.epoch),
        "DEB_BUILD_OPTIONS": "",
        "DEB_BUILD_PROFILES": "",
    }
    if not check:
        environment |= {"DEB_BUILD_OPTIONS": "nocheck", "DEB_BUILD_PROFILES": "nocheck"}
    # Those of a make that called this are not meant for debian/rules, nor is a virtual environment.
    return environment | dict.fromkeys(("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "PYTHONPATH"), "")


def _require_tools(folder: Path, environment: dict[str, str]) -> None:
    if shutil.which("dpkg-buildpackage") is None:
        raise ToolsMissingError(
            "dpkg-buildpackage is not installed: apt-get install --no-install-recommends dpkg-dev debhelper"
        )
    done = run(
        ["dpkg-checkbuilddeps"],
        folder=folder,
        environment={**os.environ, **environment, "LC_ALL": "C"},
    )
    if done.returncode:
        missing = done.stderr.partition("Unmet build dependencies: ")[2].strip()
        if not missing:
            raise ToolsMissingError(f"dpkg-checkbuilddeps failed: {done.stderr.strip()}")
        names = re.sub(r" \([^)]*\)| \| \S+", "", missing).replace("debhelper-compat", "debhelper")
        raise ToolsMissingError(
            f"Packages that a build needs are missing: {missing}. Type this, as root, then try again:\n"
            f"    apt-get install --no-install-recommends {names}"
        )


def _told(line: str) -> str | None:
    return line.strip()[:100] if _STEP.match(line) else None


def _results(parent: Path, name: str) -> Iterator[Path]:
    """What .changes lists, then .changes itself: whoever sees that sees all of it."""
    (changes,) = parent.glob(f"{name}_*.changes")
    listed = changes.read_text(encoding="utf-8").partition("\nChecksums-Sha256:\n")[2]
    for line in listed.splitlines():
        if not line.startswith(" "):
            break
        yield parent / line.split()[-1]
    yield changes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    sources.add_arguments(parser)
    parser.add_argument("--dist", type=Path, default=DIST, help="where the package goes")
    parser.add_argument("--nocheck", action="store_true", help="do not run the tests")
    parser.add_argument("--binary", action="store_true", help="no source package")


def main(options: argparse.Namespace) -> int:
    source = export(
        Path.cwd(),
        options.work.absolute() / "package",
        worktree=options.worktree,
        version=options.version,
    )
    say(f"Building {NAME} {source.version.debian} of {source.revision[:12]}")
    built = build(source, options.dist, binary_only=options.binary, check=not options.nocheck)
    shutil.rmtree(source.folder)
    say("")
    for file in built.files:
        say(f"{sha256(file)}  {file.stat().st_size / 1000:8.0f} kB  {file}")
    say(f"\nDone in {built.seconds:.1f} s.")
    return 0
