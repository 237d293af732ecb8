"""A cluster on this machine: `make cluster-up`, `cluster-run`, `cluster-status`, `cluster-logs`, `cluster-down`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy.cluster.compose import Compose
from deploy.cluster.configuration import Options
from deploy.cluster.errors import ClusterError
from deploy.cluster.place import Place
from deploy.cluster.up import up


def main() -> int:
    p = argparse.ArgumentParser(prog="python -m deploy.cluster")
    p.add_argument("--work", type=Path, default=Path(".work"))
    p.add_argument("--project")
    p.add_argument("verb")
    p.add_argument("rest", nargs="*")
    a = p.parse_args()
    place = Place(a.work.resolve())
    try:
        if a.verb == "up":
            up(place, Options(project=a.project))
        elif a.verb == "c":
            print(Compose(place).run(*a.rest))
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
