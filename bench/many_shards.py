"""An update of very many shards against one of few, of the same files a shard: does a shard cost as much?

    python bench/many_shards.py --shards 1000 --baseline 100

Each shard is one small executable, and so two tasks (ingest, extract) of the embedded default, which runs as many at
a time as there are cores. What grows with the number of shards by more than itself, such as a list that every task
reads, shows as a ratio above one.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from common import table
from common.dag_run import dag_runs
from common.executables import write_variants

TARGET = 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=200)
    parser.add_argument("--baseline", type=int, default=50, help="shards of the update beside it")
    parser.add_argument("--seed", type=int, default=1, help="seed of the files")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--json", type=Path, metavar="FILE", help="leave the figures here")
    options = parser.parse_args()
    measured = {}
    with tempfile.TemporaryDirectory(prefix="many-shards-", dir=options.folder) as name:
        work = Path(name)
        write_variants(work / "samples", options.shards, options.seed)
        settings = f"[shards]\nmax_files = 1\nmax_shards = {options.shards}\n"
        with dag_runs(work, settings) as runs:
            for shards in (options.baseline, options.shards):
                times, counts = runs.update({"limit": shards})
                if counts["extract"] != shards:
                    raise SystemExit(f"{shards} shards were wanted, and {counts['extract']} ran.")
                measured[shards] = times
                print(f"{shards:,} shards: {times['total']:.1f} s", flush=True)
    _report(options, measured)


def _report(options: argparse.Namespace, measured: dict[int, dict[str, float]]) -> None:
    few, many = measured[options.baseline], measured[options.shards]
    rows = [
        [service, few[service] / options.baseline, many[service] / options.shards]
        for service in ("ingest", "extract", "total")
    ]
    ratio = rows[-1][2] / rows[-1][1]
    print()
    table.show(
        ["seconds a shard", f"{options.baseline:,} shards", f"{options.shards:,} shards", "ratio"],
        [[*row, row[2] / row[1]] for row in rows],
    )
    print(f"\nratio {ratio:.2f}, target {TARGET} or less: {'met' if ratio <= TARGET else 'MISSED'}")
    table.leave(
        options.json,
        {
            "benchmark": "many_shards",
            "shards": options.shards,
            "baseline": options.baseline,
            "ratio": ratio,
            "target": TARGET,
            "seconds": {str(shards): times for shards, times in measured.items()},
        },
    )


if __name__ == "__main__":
    main()
