"""Removes what killed workers leave on this host; one runs beside the workers of every host.

    python -m operators.reaper [--once] [--dry-run] [--json] [--grace SECONDS]
    python -m operators.reaper --health

Exit status of --once: 0 done, 1 something could not be removed, 2 a setting is wrong, 75 Airflow or
the engine did not answer. Of --health: 0 if a pass was completed lately, 1 if not.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from corpus.errors import CorpusError
from operators.reaper.reaper import Reaper, is_healthy
from operators.reaper.report import Report
from operators.settings import WorkerSettings


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # The first process of a container ignores signals that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        settings = WorkerSettings.load()
        if options.health:
            healthy = is_healthy(settings)
            print("A pass was completed lately." if healthy else "No pass was completed lately.")
            return 0 if healthy else 1
        reaper = Reaper(
            settings,
            Report(as_json=options.json, dry_run=options.dry_run),
            grace_s=settings.reaper.grace_s if options.grace is None else options.grace,
            dry_run=options.dry_run,
        )
        if not (options.once or options.dry_run):
            reaper.run()
        return 1 if reaper.once().failed else 0
    except CorpusError as error:
        print(error, file=sys.stderr)
        return error.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m operators.reaper",
        description="Remove containers and scratch folders whose task is over, and old images.",
    )
    parser.add_argument("--once", action="store_true", help="do all there is to do, and end")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what is lost now, remove nothing, and end"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--grace",
        type=_seconds,
        metavar="SECONDS",
        help="between the first sight of what is lost and its removal (reaper.grace_s)",
    )
    parser.add_argument(
        "--health", action="store_true", help="say whether a pass was completed lately"
    )
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise ValueError(text)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
