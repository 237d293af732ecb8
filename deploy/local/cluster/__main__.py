"""A cluster on this machine: Celery workers, Redis, Postgres, every service in its container.

`make cluster-up`, `cluster-run`, `cluster-status`, `cluster-logs`, `cluster-scale` and `cluster-down`
call this; docs/operate/cluster.md has the rest.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from deploy.common.airflow_api import AirflowApi
from deploy.common.errors import ClusterError, DeployError
from deploy.local.cluster.address import ui_url
from deploy.local.cluster.compose import Compose
from deploy.local.cluster.configuration import Options, corpus_root
from deploy.local.cluster.down import down
from deploy.local.cluster.status import status
from deploy.local.cluster.up import up
from deploy.local.cluster.users import login, users
from deploy.local.cluster.workdir import Place
from deploy.local.update import run_update


def parser() -> argparse.ArgumentParser:
    parsed = argparse.ArgumentParser(
        prog="python -m deploy.local.cluster",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parsed.add_argument("--work", type=Path, default=Path(".work"), help="work folder [.work]")
    verbs = parsed.add_subparsers(dest="verb", required=True, metavar="VERB")

    start = verbs.add_parser("up", help="start what is not running; made anew is what changed")
    start.add_argument("--project", help="name of the containers and volumes [corpus]")
    start.add_argument("--workers", type=_positive, help="worker containers [2]")
    start.add_argument("--port", type=_positive, help="port of the UI on this machine [8080]")
    start.add_argument("--tag", help="tag of the images [latest]")
    start.add_argument("--samples", help="folder or fsspec URL of your own samples")
    start.add_argument("--verdicts", help="file, folder or URL of your own verdicts")
    start.add_argument(
        "--init", action="store_true", help="run the init job even when all is set up"
    )

    verbs.add_parser("run", help="run an update, and follow it to its end")
    verbs.add_parser("status", help="services, workers, queue, last runs, what is left over")
    logs = verbs.add_parser("logs", help="what the services say")
    logs.add_argument("service", nargs="*", help="services [all]")
    logs.add_argument("--tail", default="100", help="lines of each [100]")
    logs.add_argument("--follow", action="store_true", help="go on with what they say next")
    scale = verbs.add_parser("scale", help="change the number of workers")
    scale.add_argument("workers", type=_positive)
    stop = verbs.add_parser("down", help="stop all; the data stays")
    stop.add_argument(
        "--purge", action="store_true", help="remove databases, secrets and corpus too"
    )
    stop.add_argument("--timeout", type=int, help="seconds that tasks have to end [120]")
    return parsed


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def run(arguments: argparse.Namespace) -> int:
    place = Place(arguments.work.resolve())
    if arguments.verb == "up":
        names = ("project", "workers", "port", "tag", "samples", "verdicts")
        options = Options(**{name: getattr(arguments, name) or None for name in names})
        up(place, options, init=arguments.init)
        print("\n".join(users(place)))
        print("`make cluster-run` updates the corpus in it; `make cluster-down` stops it.")
        return 0
    if arguments.verb == "down":
        down(place, purge=arguments.purge, seconds=arguments.timeout)
        return 0
    if not place.exists:
        raise ClusterError("There is no cluster in this work folder; `make cluster-up` makes one.")
    compose = Compose(place)
    if arguments.verb == "run":
        return _update(place)
    if arguments.verb == "scale":
        up(place, Options(workers=arguments.workers))
    elif arguments.verb == "status":
        for line in status(compose, login(place)):
            print(line, flush=True)
    elif arguments.verb == "logs":
        follow = ["--follow"] if arguments.follow else []
        compose.run("logs", "--tail", arguments.tail, *follow, *arguments.service)
    return 0


def _update(place: Place) -> int:
    root = corpus_root(place)
    here = Path(root) == place.corpus
    api = AirflowApi(*login(place))
    done = run_update(api, place.corpus if here else None, ui=ui_url(place))
    if done and not here:
        print(f"The corpus is at {root}.")
    return 0 if done else 1


def main() -> int:
    # The containers' user reads what is written here; secrets have modes of their own.
    os.umask(0o022)
    try:
        return run(parser().parse_args())
    except DeployError as error:
        print(error, file=sys.stderr)
        return error.status
    except (KeyboardInterrupt, BrokenPipeError):
        return 130


if __name__ == "__main__":
    sys.exit(main())
