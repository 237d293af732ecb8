"""The health check of a part of the cluster: `python -I /opt/corpus/health PART`.

Prints one line. Exit status 0: the part does its work; 1: it does not, and the line says why.
"""

from __future__ import annotations

import sys

from failures import Failure, Starting, Unreachable

PARTS = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")


def check(part: str) -> str:
    # Each imports only what it needs: this runs every half minute, in each container.
    if part == "worker":
        import worker

        return worker.check()
    if part == "api-server":
        import api_server

        return api_server.check()
    import jobs

    return jobs.check(part)


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1] not in PARTS:
        print(f"usage: health {'|'.join(PARTS)}", file=sys.stderr)
        return 2
    try:
        print(f"{sys.argv[1]}: {check(sys.argv[1])}")
    except Failure as failure:
        kind = {Starting: "starting", Unreachable: "waiting"}.get(type(failure), "unhealthy")
        print(f"{sys.argv[1]}: {kind}: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
