"""`python3 -m deploy.build.package VERB`: make the Debian package of this checkout, and what goes with it."""

from __future__ import annotations

import argparse
import importlib
import sys

from corpus.errors import CorpusError
from deploy.common.errors import DeployError

# A module of this package each, with `add_arguments` and `main`; only the one that is wanted is loaded.
VERBS = {
    "version": "what git says, as Debian writes it",
    "source": "make the source tree that a package is built of",
    "manifest": "write the release.json of a payload",
    "build": "build the source and the binary package",
    "repository": "put packages into an apt repository",
    "sbom": "say what a package is made of",
    "artifacts": "lay out all that a release consists of",
}


def main(arguments: list[str] | None = None) -> int:
    lines = "\n".join(f"  {name:12} {text}" for name, text in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="python3 -m deploy.build.package",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"{__doc__}\n\n{lines}\n\n`VERB --help` says more.",
    )
    parser.add_argument("verb", choices=VERBS, metavar="VERB")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    module = importlib.import_module(f"deploy.build.package.{given.verb}")
    verb = argparse.ArgumentParser(
        prog=f"{parser.prog} {given.verb}", description=(module.__doc__ or "").partition("\n")[0]
    )
    module.add_arguments(verb)
    try:
        options = verb.parse_args(given.arguments)
        return int(module.main(options))
    except (DeployError, CorpusError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
