"""`switch` and `rollback`: another release that is here already becomes the current one."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from deploy.common.errors import BadInputError
from deploy.host.manifest import Manifest
from deploy.host.releases import Releases
from deploy.host.settings import Settings

HELP = "make another release the current one, for runs that begin from now on"


def options(parser: ArgumentParser) -> None:
    parser.add_argument("version", metavar="VERSION", help="one of `corpus-airflow releases`")
    dry_run(parser)


def dry_run(parser: ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="verify, and change nothing")


def run(settings: Settings, wanted: Namespace) -> int:
    return to(Releases(settings.releases.folder), wanted.version, dry_run=wanted.dry_run)


def to(releases: Releases, name: str, *, dry_run: bool) -> int:
    """Verify a release, then switch to it. Raises `BadInputError`, and `DamagedError` where it is."""
    before = releases.current
    if dry_run:
        folder = releases / name
        Manifest.read(folder).check(folder)
        print(
            f"{name} is whole; {before} would be replaced."
            if before != name
            else f"{name} is current."
        )
        return 0
    releases.switch(name)
    if before == name:
        print(f"{name} is current already.")
    else:
        print(f"{name} is current, {before or 'none'} was before. Runs under way end on their own.")
    return 0


def back(releases: Releases) -> str:
    """The release before the current one. Raises `BadInputError` if there is none."""
    previous = releases.previous
    if previous is None:
        raise BadInputError(
            "There is no release to go back to: none but the current one was ever current and is still here.\n"
            "`corpus-airflow releases` lists what is; `apt install corpus-airflow=VERSION` brings another."
        )
    return previous
