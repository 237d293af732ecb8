"""How long the embedded Airflow takes until all of its parts are healthy, and to stop, against `airflow standalone`.

    python bench/embedded_start.py --repeat 5

Both have the same settings and a metadata database that is there already, and take turns; the median counts.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from common import table

TARGET = 0.6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5, help="starts of each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="leave the figures here")
    options = parser.parse_args()
    # The embedded Airflow is part of the checkout, not of what is installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from deploy.local.embedded.server import EmbeddedAirflow

    class Standalone(EmbeddedAirflow):
        program = ("-m", "airflow", "standalone")

        def dead(self) -> list[str]:
            # Its processes are others; its health is asked all the same.
            return []

    seconds: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="embedded-start-") as name:
        for number in range(options.repeat + 1):
            for kind in (Standalone, EmbeddedAirflow):
                airflow = kind(Path(name))
                airflow.config.touch()
                began = time.monotonic()
                airflow.start()
                up = time.monotonic()
                airflow.stop()
                # The first makes the database.
                if number:
                    found = seconds.setdefault(kind.__name__, [])
                    found.append((up - began, time.monotonic() - up))
                    print(f"{number}: {kind.__name__} {found[-1][0]:.1f} s", flush=True)
    _report(options, seconds)


def _report(options: argparse.Namespace, seconds: dict[str, list[tuple[float, float]]]) -> None:
    middle = {
        kind: [statistics.median(one) for one in zip(*found, strict=True)]
        for kind, found in seconds.items()
    }
    ours, baseline = middle["EmbeddedAirflow"], middle["Standalone"]
    rows = [
        [what, baseline[number], ours[number], ours[number] / baseline[number]]
        for number, what in enumerate(("start, until all are healthy", "stop"))
    ]
    print()
    table.show(["seconds", "airflow standalone", "embedded", "ratio"], rows)
    ratio = ours[0] / baseline[0]
    print(f"\nratio {ratio:.2f}, target {TARGET} or less: {'met' if ratio <= TARGET else 'MISSED'}")
    table.leave(
        options.json,
        {
            "benchmark": "embedded_start",
            "ratio": ratio,
            "target": TARGET,
            "seconds": middle,
        },
    )


if __name__ == "__main__":
    main()
