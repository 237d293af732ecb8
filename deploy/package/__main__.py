"""`python3 -m deploy.package VERB`: make the Debian package of this checkout."""

from __future__ import annotations

import argparse
import importlib
import sys

from deploy.host.errors import HostError
from deploy.images.errors import BuildError
from deploy.package.errors import PackageError

# A module of this package each, with `add_arguments` and `main`; what it says of itself is its help.
VERBS = ("version", "source", "manifest", "build", "repository")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m deploy.package", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name in VERBS:
        module = importlib.import_module(f"deploy.package.{name}")
        text = (module.__doc__ or "").partition("\n")[0]
        verb = verbs.add_parser(name, help=text, description=text)
        module.add_arguments(verb)
        verb.set_defaults(main=module.main)
    try:
        options = parser.parse_args(arguments)
        return int(options.main(options))
    except (PackageError, BuildError, HostError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
