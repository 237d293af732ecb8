"""The parts of the embedded Airflow, forked from one process that has loaded what they have in common.

`airflow standalone` starts an interpreter for each, and every one of them imports Airflow anew: half of the time until
all are healthy. Here the first process does so once. It also makes or migrates the metadata database, and writes what
the parts say, each line with the part's name, to its own output.
"""

from __future__ import annotations

import gc
import importlib
import os
import runpy
import selectors
import signal
import sys
from collections.abc import Callable, Iterable
from functools import partial

_CHUNK = 65_536
# Commands of Airflow.
PARTS = ("scheduler", "dag-processor", "triggerer", "api-server")
# Log servers listen on all addresses of the machine, and no setting changes that. Nobody needs them here: the API
# server reads the same files.
_OPTIONS = {"scheduler": ["--skip-serve-logs"], "triggerer": ["--skip-serve-logs"]}
# What more than one of them imports, tasks included. None of this bundle: a file that is edited while Airflow runs
# is read by the next task.
_COMMON = (
    "airflow.cli.cli_parser",
    *(f"airflow.cli.commands.{part.replace('-', '_')}_command" for part in PARTS),
    "airflow.jobs.scheduler_job_runner",
    "airflow.jobs.triggerer_job_runner",
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
)
# The API's alone, which takes longest to load: meanwhile the database is seen to.
_API = (
    "airflow.api_fastapi.app",
    "airflow.api_fastapi.core_api.routes.public",
    "airflow.api_fastapi.core_api.routes.ui",
    "airflow.api_fastapi.execution_api.routes",
)


def main() -> int:
    """Run the parts until they have ended."""
    from airflow.configuration import write_default_airflow_configuration_if_needed

    # At the first start this makes the secret that tokens are signed with: the same one for all parts.
    write_default_airflow_configuration_if_needed()
    _load(_COMMON)
    said: dict[int, str] = {}
    database = _forked("database", _migrate, said)
    _load(_API)
    _pass_on(said)
    if os.waitstatus_to_exitcode(os.waitpid(database, 0)[1]):
        return 1
    # The forks share this memory, as long as nobody counts what is in it.
    gc.freeze()
    children = [_forked(part, partial(_run, part), said) for part in PARTS]
    # Who stops this Airflow tells every process of it; a second signal would have the scheduler wait no longer, or for
    # ever. What the parts say as they end is still to be written.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    _pass_on(said)
    for child in children:
        os.waitpid(child, 0)
    return 0


def _load(modules: Iterable[str]) -> None:
    for name in modules:
        importlib.import_module(name)


def _migrate() -> None:
    from airflow.utils.db import initdb

    initdb()


def _run(part: str) -> None:
    from setproctitle import setproctitle

    sys.argv = ["airflow", part, *_OPTIONS.get(part, [])]
    # By which it is found in a list of processes; those of Airflow's parts that have a title of their own set it.
    setproctitle(" ".join(sys.argv))
    runpy.run_module("airflow", run_name="__main__")


def _forked(name: str, work: Callable[[], None], said: dict[int, str]) -> int:
    """Do some work in a process of its own; returns its id, and adds to `said` where its output is read."""
    ours, theirs = os.pipe()
    if child := os.fork():
        os.close(theirs)
        said[ours] = name
        return child
    # Whoever writes to a process that is gone is to learn of it: only that one has the other end.
    for output in (ours, *said):
        os.close(output)
    os.dup2(theirs, 1)
    os.dup2(theirs, 2)
    os.close(theirs)
    work()
    sys.exit()


def _pass_on(said: dict[int, str]) -> None:
    """Write what is said, each line with its name, until nobody is left to say anything; `said` is empty then."""
    begun = dict.fromkeys(said, b"")
    with selectors.DefaultSelector() as selector:
        for output in said:
            selector.register(output, selectors.EVENT_READ)
        while said:
            for key, _ in selector.select():
                got = os.read(key.fd, _CHUNK)
                *lines, begun[key.fd] = (begun[key.fd] + got).split(b"\n")
                if not got:
                    lines += filter(None, [begun[key.fd]])
                for line in lines:
                    sys.stdout.buffer.write(f"{said[key.fd]:13} | ".encode() + line + b"\n")
                sys.stdout.buffer.flush()
                if not got:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    del said[key.fd]


if __name__ == "__main__":
    sys.exit(main())
