"""Processor time that parsing all DAG files adds to importing Airflow.

    python bench/dag_parse.py --repeat 15

Baseline: a fresh interpreter imports Airflow's SDK, the machinery that parses DAG files and the
standard operators, and parses a folder with one DAG of one empty task. What it then spends on the
folder `dags` is ours: taken in the same interpreter, since two of them differ by more than that.
The median of several fresh interpreters counts. No garbage is collected meanwhile: one collection of all
that Airflow has loaded takes longer than the parse, and falls into it or not by chance.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import table

TARGET_MS = 25.0
REPO = Path(__file__).resolve().parents[1]

_EMPTY = """
from airflow.sdk import DAG, Param
from airflow.providers.standard.operators.empty import EmptyOperator

with DAG("empty", schedule=None, params={"text": Param("", type="string")}):
    EmptyOperator(task_id="nothing")
"""

# Run in the fresh interpreter: a folder a DAG bag. Processor seconds after each, and the DAGs found.
_PARSE = """
import gc
import sys
import time

import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.standard.operators import bash, empty, python

gc.disable()
for folder in sys.argv[1:]:
    bag = DagBag(dag_folder=folder, bundle_name="bench")
    if bag.import_errors:
        raise SystemExit(str(bag.import_errors))
    print("parsed", time.process_time(), len(bag.dags))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=15, help="interpreters of each kind")
    parser.add_argument("--json", type=Path, metavar="FILE", help="leave the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dag-parse-") as name:
        home = Path(name)
        empty = home / "empty"
        empty.mkdir()
        (empty / "empty.py").write_text(_EMPTY)
        baseline, added = [], []
        # The first compiles what is imported for the first time.
        for number in range(options.repeat + 1):
            (before, _), (after, dags) = _parse(home, [empty, REPO / "dags"])
            if number:
                baseline.append(1000 * before)
                added.append(1000 * (after - before))
                print(f"{number} of {options.repeat}: {added[-1]:.0f} ms", flush=True)
    _report(options, baseline, added, dags)


def _parse(home: Path, folders: list[Path]) -> list[tuple[float, int]]:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "empty"),
        "PYTHONPATH": str(REPO),
    }
    command = [sys.executable, "-c", _PARSE, *map(str, folders)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=home)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    # Airflow logs to the same output.
    rows = (line.split() for line in done.stdout.splitlines() if line.startswith("parsed "))
    return [(float(seconds), int(dags)) for _, seconds, dags in rows]


def _report(
    options: argparse.Namespace, baseline: list[float], added: list[float], dags: int
) -> None:
    rows = [
        [name, min(found), statistics.median(found), max(found)]
        for name, found in (("baseline: Airflow", baseline), (f"added by {dags} DAGs", added))
    ]
    print(f"\nmilliseconds of processor time in {options.repeat} fresh interpreters\n")
    table.show(["", "least", "median", "most"], rows)
    middle, before = statistics.median(added), statistics.median(baseline)
    print(f"\nratio {(before + middle) / before:.3f}")
    print(
        f"added {middle:.0f} ms, target {TARGET_MS:.0f} ms or less: "
        f"{'met' if middle <= TARGET_MS else 'MISSED'}"
    )
    table.leave(
        options.json,
        {
            "benchmark": "dag_parse",
            "dags": dags,
            "added_ms": middle,
            "baseline_ms": before,
            "ratio": (before + middle) / before,
            "target_ms": TARGET_MS,
        },
    )


if __name__ == "__main__":
    main()
