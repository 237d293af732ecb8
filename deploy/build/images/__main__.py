"""`python -m deploy.build.images`: an engine, a base, the wheels, then the images that are named, or all."""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from deploy.build.images import wheelhouse
from deploy.build.images.base import OWN, base_image, make_base
from deploy.build.images.build import NAMES, Build, build, table
from deploy.build.images.client import Client
from deploy.build.images.context import make_context, revision, version
from deploy.common.errors import DeployError, ProgramError
from deploy.common.shell import run, say


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.build.images", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--work", type=Path, default=Path(".work"), help="the work folder")
    parser.add_argument("--base", help="the image to build on, instead of Debian's")
    parser.add_argument("--tag", default=os.environ.get("CORPUS_IMAGE_TAG") or "latest")
    parser.add_argument(
        "--renew", action="store_true", help="build every layer anew, with the updates of today"
    )
    parser.add_argument("--only-base", action="store_true", help="make the base and no more")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(
            f"there is no image {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}"
        )
    options.names = options.names or list(NAMES)
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        return _dry_run(options) if options.dry_run else _images(options)
    except DeployError as error:
        print(f"{error}", file=sys.stderr)
        return 1


def _images(options: argparse.Namespace) -> int:
    begin = time.monotonic()
    work = options.work / "images"
    _start_engine()
    client = Client.find()
    base = base_image(client, options.base) or make_base(client, work)
    if options.only_base:
        return 0
    wheels = work / "wheels"
    if not wheelhouse.is_fresh(wheels):
        wheelhouse.fetch(wheels)
    plan = _plan(options, base)
    make_context(plan.context, wheels)
    images = [build(client, plan, name, work, _start_engine) for name in options.names]
    say("\n" + table(images, plan.tags))
    say(f"\nDone in {time.monotonic() - begin:.0f} s, on {base}.")
    return 0


def _start_engine() -> None:
    """Start one unless one answers. Raises `ProgramError`; the script has said why."""
    engine = run(["sh", "deploy/scripts/engine.sh", "up"], capture=False)
    if engine.returncode:
        raise ProgramError("There is no Docker engine to build with.", engine.returncode)


def _dry_run(options: argparse.Namespace) -> int:
    """Say what would be done; nothing is started, fetched or written."""
    client = Client.find()
    wheels = options.work / "images" / "wheels"
    base = options.base or next((n for n in (OWN,) if client.image(n)), None)
    plan = _plan(options, base or OWN)
    say("would run      sh deploy/scripts/engine.sh up")
    if not base:
        say(f"would pull     the base, or make {OWN} if no registry is reached")
    if not wheelhouse.is_fresh(wheels):
        say(f"would fetch    what {' and '.join(f'{n}.lock' for n in wheelhouse.COMPLETE)} name")
    for name in options.names:
        say(f"would run      {' '.join(plan.command(client, name))}")
    return 0


def _plan(options: argparse.Namespace, base: str) -> Build:
    return Build(
        context=options.work / "images" / "context",
        base=base,
        # A tag takes no plus sign.
        tags=list(dict.fromkeys([options.tag, version().replace("+", "-")])),
        version=version(),
        revision=revision(),
        renewed=_renewed(options),
    )


def _renewed(options: argparse.Namespace) -> str:
    """When all was built anew last; later builds go on from those layers, not from older ones."""
    record: Path = options.work / "images" / "renewed"
    if options.renew:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        if not options.dry_run:
            record.parent.mkdir(parents=True, exist_ok=True)
            record.write_text(now)
        return now
    return record.read_text() if record.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
