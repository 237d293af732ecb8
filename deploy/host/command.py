"""`corpus-airflow`: the bundle's releases on this host, and what the host does for the cluster by itself."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from deploy.common.errors import DeployError
from deploy.host.settings import FILE, Settings
from deploy.host.verbs import (
    check,
    database,
    doctor,
    install,
    listing,
    logs,
    prune,
    reap,
    rollback,
    status,
    switch,
)


class Verb(Protocol):
    """A module with what one verb does."""

    HELP: str

    def options(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, settings: Settings, wanted: argparse.Namespace) -> int:
        """The exit status. Raises `DeployError`."""


VERBS: dict[str, Verb] = {
    "install": install,
    "status": status,
    "releases": listing,
    "switch": switch,
    "rollback": rollback,
    "prune": prune,
    "check": check,
    "doctor": doctor,
    "clean-logs": logs,
    "clean-database": database,
    "reap": reap,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what was typed; the exit status. A wrong word ends in `SystemExit` with status 2, as argparse does."""
    wanted = _parser().parse_args(arguments)
    try:
        ended = VERBS[wanted.verb].run(Settings.load(wanted.config), wanted)
        sys.stdout.flush()
        return ended
    except BrokenPipeError:
        # Whoever read has enough; Python would complain once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except DeployError as error:
        return _end(str(error), error.status)
    except PermissionError as error:
        return _end(f"{error.filename or error}: permission denied; are you root?", 1)
    except OSError as error:
        return _end(str(error), 1)
    except KeyboardInterrupt:
        return _end("Interrupted; what was not done is as it was.", 130)


def _end(message: str, status: int) -> int:
    sys.stdout.flush()
    print(f"corpus-airflow: {message}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="corpus-airflow",
        description="The releases of the bundle's code on this host, and what the host does for the cluster by itself.",
        epilog="corpus-airflow(8) has the rest.",
    )
    _config(parser, None)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, verb in VERBS.items():
        words = verbs.add_parser(
            name, help=verb.HELP, description=f"{verb.HELP[0].upper()}{verb.HELP[1:]}."
        )
        # Before the verb or after it, as one is used to.
        _config(words, argparse.SUPPRESS)
        verb.options(words)
    return parser


def _config(parser: argparse.ArgumentParser, default: str | None) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=default,
        help=f"settings, instead of {FILE}",
    )
