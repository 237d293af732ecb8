"""Run the master DAG in an Airflow of this machine: `make run`, `make up`, `make down`."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from pathlib import Path

from corpus.errors import BadSettingError
from deploy.common.errors import DeployError
from deploy.local.embedded.command import Command
from deploy.local.embedded.server import EmbeddedAirflow
from deploy.local.embedded.stops import heed_stops
from deploy.local.say import say_if_heard


def parser() -> argparse.ArgumentParser:
    parsed = argparse.ArgumentParser(prog="python -m deploy.local.embedded", description=__doc__)
    parsed.add_argument("verb", choices=["run", "up", "down"])
    parsed.add_argument("--work", type=Path, default=Path(".work"), help="work folder [.work]")
    parsed.add_argument("--samples", help="folder or fsspec URL of your own samples")
    parsed.add_argument("--verdicts", help="file, folder or URL of your own verdicts")
    return parsed


def main() -> int:
    arguments = parser().parse_args()
    command = Command(EmbeddedAirflow(arguments.work))
    heed_stops()
    try:
        if arguments.verb == "down":
            return command.down()
        command.airflow.work.mkdir(parents=True, exist_ok=True)
        verb = command.run if arguments.verb == "run" else command.up
        return verb(arguments.samples, arguments.verdicts)
    except (BadSettingError, DeployError) as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read the output has gone; its buffer would raise once more at the end.
        say_if_heard()
        return 128 + signal.SIGPIPE
    except OSError as error:
        # A full disk, a closed terminal, a folder of somebody else's.
        with contextlib.suppress(OSError):
            print(error, file=sys.stderr)
        say_if_heard()
        return 1


if __name__ == "__main__":
    sys.exit(main())
