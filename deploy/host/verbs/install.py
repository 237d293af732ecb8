"""`install`: the package's payload becomes a release, and the current one."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from deploy.common.errors import DeployError, UnrecordedError
from deploy.host.manifest import Manifest
from deploy.host.releases import Releases
from deploy.host.settings import Settings
from deploy.host.validation import Validation, compiled

HELP = "make the installed package's code a release, and switch to it"


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--no-flip", action="store_true", help="install only; `current` stays")
    parser.add_argument(
        "--dry-run", action="store_true", help="check the package's files, and change nothing"
    )


def run(settings: Settings, wanted: Namespace) -> int:
    releases = Releases(settings.releases.folder)
    payload = settings.releases.payload
    if wanted.dry_run:
        manifest = Manifest.read(payload)
        manifest.check(payload)
        told = "stays current" if wanted.no_flip else "would be replaced"
        print(
            f"{manifest.version} is whole, {compiled(payload)} files compile; {releases.current} {told}."
        )
        return 0
    before = releases.current
    validation = Validation(settings.images)
    try:
        name = releases.install(payload, validation, flip=not wanted.no_flip)
    except UnrecordedError:
        # It says what is current.
        raise
    except DeployError as error:
        stays = f"{before} stays current" if before else "no release is current"
        error.args = (f"{error}\nThe package's code was not taken; {stays}.",)
        raise
    print(f"Release {name}: {validation.told or 'was here already, and is whole'}.")
    if releases.current == name:
        print(f"{name} is current{f', {before} was before' if before not in (None, name) else ''}.")
    else:
        print(f"{before or 'No release'} is current; `corpus-airflow switch {name}` changes that.")
    return 0
