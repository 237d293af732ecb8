"""The health check of a part of the cluster: `python -I -m deploy.container.health PART`.

Prints one line. Exit status 0: the part does its work; 1: it does not, and the line says why.
"""

from __future__ import annotations

import sys

from deploy.container.health.errors import HealthError, StartingError, UnreachableError

PARTS = ("api-server", "scheduler", "dag-processor", "triggerer", "worker", "reaper")


def check(part: str) -> str:
    # Each imports only what it needs: this runs every half minute, in each container.
    if part == "worker":
        from deploy.container.health import worker

        return worker.check()
    if part == "reaper":
        from deploy.container.health import reaper

        return reaper.check()
    if part == "api-server":
        from deploy.container.health import api_server

        return api_server.check()
    from deploy.container.health import jobs

    return jobs.check(part)


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1] not in PARTS:
        print(f"usage: health {'|'.join(PARTS)}", file=sys.stderr)
        return 2
    try:
        print(f"{sys.argv[1]}: {check(sys.argv[1])}")
    except HealthError as failure:
        kind = {StartingError: "starting", UnreachableError: "waiting"}.get(
            type(failure), "unhealthy"
        )
        print(f"{sys.argv[1]}: {kind}: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
