"""What a task adds to the container it runs: ours against the stock operator's and `docker run`.

    python bench/container_overhead.py --image corpus-services

All run `true` in the same image without a network, in turns; for the Docker runner, which runs
`corpus`, the image has `true` under that name. The operators run as tasks of a DAG each, timed by
Airflow from start to end; `docker run --rm` by the clock. The median counts. A task's process also
imports what its operator needs, once: that is measured in fresh interpreters that have imported
Airflow's SDK, and part of the sum.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import table

REPO = Path(__file__).resolve().parents[1]
TARGET_S = 0.5
RAW, RUNNER, OPERATOR, STOCK = (
    "docker run --rm",
    "DockerRunner",
    "ContainerOperator",
    "DockerOperator",
)
_MODULES = {
    RUNNER: "operators.base, operators.runners.result, operators.settings, operators.runners.docker",
    OPERATOR: "operators.container, corpus.settings",
    STOCK: "airflow.providers.docker.operators.docker",
}
_DOCKERFILE = """
FROM {image}
USER 0
RUN ln -s /bin/true /usr/local/bin/corpus
ENV PATH=/usr/local/bin:/bin
USER 50000
"""
_IMPORT = """
import time
import airflow.sdk
began = time.perf_counter()
import {modules}
print("imported", time.perf_counter() - began)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", default="corpus-services", help="image that has a `true`")
    parser.add_argument("--repeat", type=int, default=15, help="containers of each kind")
    parser.add_argument("--imports", type=int, default=5, help="fresh interpreters of each kind")
    parser.add_argument("--json", type=Path, metavar="FILE", help="leave the figures here")
    options = parser.parse_args()
    if shortage := _lacking(options.image):
        # Every other bench runs without an engine; `make bench` goes on.
        print(f"skipped: {shortage}")
        return
    table.show_load()
    built = f"corpus-bench:{os.getpid()}"
    build = ["docker", "build", "-q", "-t", built, "-"]
    dockerfile = _DOCKERFILE.format(image=options.image).encode()
    subprocess.run(build, input=dockerfile, check=True, stdout=subprocess.DEVNULL)
    try:
        with tempfile.TemporaryDirectory(prefix="container-overhead-") as name:
            seconds = _measure(options, built, Path(name))
    finally:
        subprocess.run(["docker", "rmi", "-f", built], check=True, stdout=subprocess.DEVNULL)
    imports = {name: _imports(name, options.imports) for name in _MODULES}
    _report(options, seconds, imports)


def _lacking(image: str) -> str | None:
    done = subprocess.run(["docker", "image", "inspect", image], capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else None


def _measure(options: argparse.Namespace, image: str, work: Path) -> dict[str, list[float]]:
    for folder in ("scratch", "corpus"):
        (work / folder).mkdir()
    os.environ |= {
        "CORPUS_RUNNER": "docker",
        "CORPUS_STORE__ROOT": str(work / "corpus"),
        "CORPUS_DOCKER__SCRATCH": str(work / "scratch"),
        "CORPUS_DOCKER__SERVICES_IMAGE": image,
    }
    sys.path.insert(0, str(REPO))
    from tests.support import airflow_home

    airflow_home.migrate()
    makers = _operators(image)

    def task(name: str) -> float:
        from airflow.sdk import DAG

        with DAG(f"overhead_{name}", schedule=None) as dag:
            makers[name](name)
        with contextlib.redirect_stdout(io.StringIO()):
            ti = airflow_home.run_dag(dag).get_task_instance(name)
        if ti is None or ti.state != "success" or ti.duration is None:
            raise SystemExit(f"{name} is {ti and ti.state}")
        return float(ti.duration)

    def raw() -> float:
        command = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "true"]
        began = time.perf_counter()
        subprocess.run([*command, image], check=True)
        return time.perf_counter() - began

    seconds: dict[str, list[float]] = {name: [] for name in (RAW, *makers)}
    # The first of each imports.
    for number in range(options.repeat + 1):
        found = {RAW: raw(), **{name: task(name) for name in makers}}
        if number:
            for name, value in found.items():
                seconds[name].append(value)
            told = ", ".join(f"{name} {value:.2f} s" for name, value in found.items())
            print(f"{number} of {options.repeat}: {told}", flush=True)
    return seconds


def _operators(image: str) -> dict[str, Callable[[str], Any]]:
    """What makes a task of each kind that runs `true`."""
    from airflow.providers.docker.operators.docker import DockerOperator
    from airflow.sdk import BaseOperator

    from operators import ContainerOperator
    from operators.runners.command import Call
    from operators.runners.identity import run_identity, task_try
    from operators.runners.runner import get_runner
    from operators.settings import WorkerSettings

    class ServiceOperator(BaseOperator):
        """A service without a report; else as `CorpusOperator` runs it."""

        def execute(self, context: Any) -> None:
            call = Call("label", identity=run_identity(context))
            runner = get_runner(WorkerSettings.load(), task_try(context, "bench"))
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, "result.json")
                if runner.run(call, result=file, on_line=self.log.info):
                    raise SystemExit("true is false")

    return {
        RUNNER: lambda name: ServiceOperator(task_id=name),
        OPERATOR: lambda name: ContainerOperator(task_id=name, image=image, entrypoint=["true"]),
        STOCK: lambda name: DockerOperator(
            task_id=name,
            image=image,
            entrypoint=["true"],
            network_mode="none",
            mount_tmp_dir=False,
            auto_remove="force",
        ),
    }


def _imports(name: str, repeat: int) -> float:
    found = []
    for _ in range(repeat):
        done = subprocess.run(
            [sys.executable, "-c", _IMPORT.format(modules=_MODULES[name])],
            env={**os.environ, "PYTHONPATH": str(REPO)},
            capture_output=True,
            text=True,
            check=True,
        )
        found += [
            float(line.split()[1])
            for line in done.stdout.splitlines()
            if line.startswith("imported")
        ]
    return statistics.median(found)


def _report(
    options: argparse.Namespace, seconds: dict[str, list[float]], imports: dict[str, float]
) -> None:
    sums = {
        name: statistics.median(found) + imports.get(name, 0.0) for name, found in seconds.items()
    }
    rows = [
        [name, min(found), statistics.median(found), max(found), imports.get(name, "-"), sums[name]]
        for name, found in seconds.items()
    ]
    print(f"\nseconds of {options.repeat} containers of each kind\n")
    table.show(["", "least", "median", "most", "imports", "sum"], rows)
    added = sums[RUNNER] - sums[RAW]
    print(
        f"\nour runner adds {added:.2f} s to docker run, target {TARGET_S} s or less: "
        f"{'met' if added <= TARGET_S else 'MISSED'}"
    )
    print(
        f"our runner {sums[RUNNER]:.2f} s, stock {sums[STOCK]:.2f} s, target below it: "
        f"{'met' if sums[RUNNER] < sums[STOCK] else 'MISSED'}"
    )
    table.leave(
        options.json,
        {
            "benchmark": "container_overhead",
            "seconds": {name: statistics.median(found) for name, found in seconds.items()},
            "imports_s": imports,
            "sum_s": sums,
            "added_s": added,
            "target_s": TARGET_S,
        },
    )


if __name__ == "__main__":
    main()
