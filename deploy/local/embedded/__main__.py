"""Run the master DAG in an Airflow of this machine: `make run`, `make up`, `make down`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from corpus.errors import BadSettingError
from corpus.settings import Settings
from deploy.common.airflow_api import AirflowApi
from deploy.common.errors import DeployError
from deploy.local.embedded.server import EmbeddedAirflow, Running
from deploy.local.input import Input, WorkInput
from deploy.local.update import run_update


def parser() -> argparse.ArgumentParser:
    parsed = argparse.ArgumentParser(prog="python -m deploy.local.embedded", description=__doc__)
    parsed.add_argument("verb", choices=["run", "up", "down"])
    parsed.add_argument("--work", type=Path, default=Path(".work"), help="work folder [.work]")
    parsed.add_argument("--samples", help="folder or fsspec URL of your own samples")
    parsed.add_argument("--verdicts", help="file, folder or URL of your own verdicts")
    return parsed


def configure(airflow: EmbeddedAirflow, samples: str | None, verdicts: str | None) -> Path | None:
    """Settle the input of this work folder; returns the corpus root, None if it is not a folder.

    Raises `InputError`, and `BadSettingError` if corpus.toml was edited and says nonsense.
    """
    root = airflow.work / "corpus"

    def render(found: Input) -> str:
        urls = [found.verdicts] if found.verdicts else []
        return (
            "# Written by `make run`, and never again once you have edited it; an environment variable\n"
            "# CORPUS_SECTION__KEY wins over it.\n"
            f"[store]\nroot = {json.dumps(str(root))}\n\n"
            f"[sources]\nurls = {json.dumps([found.samples] if found.samples else [])}\n\n"
            f"[verdicts]\nurls = {json.dumps(urls)}\n"
        )

    record = airflow.work / "input.json"
    WorkInput(airflow.config, record, root, airflow.work / "demo").settle(samples, verdicts, render)
    used = Settings.load(file=airflow.config).store.root
    return None if "://" in used else Path(used)


def start(airflow: EmbeddedAirflow) -> Running:
    print("Starting Airflow (SQLite, LocalExecutor) ...", flush=True)
    first = not (airflow.home / "simple_auth_manager_passwords.json.generated").exists()
    running = airflow.start()
    if first:
        print(
            f"  user admin, password {airflow.password()} (kept below {airflow.home})", flush=True
        )
    print(f"  {running.url}", flush=True)
    return running


def update(airflow: EmbeddedAirflow, running: Running, root: Path | None) -> int:
    done = run_update(AirflowApi(running.url, "admin", airflow.password()), root)
    if not done:
        print("`make up` keeps Airflow running, for its UI.")
    return 0 if done else 1


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)


def run(airflow: EmbeddedAirflow, root: Path | None) -> int:
    kept = airflow.running()
    try:
        status = update(airflow, kept or start(airflow), root)
    finally:
        if not kept:
            # A second Ctrl-C must not cut the cleaning short.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("\nStopping Airflow ...", flush=True)
            airflow.stop()
    if kept:
        print(f"\nThe UI: {kept.url} (user admin; `make down` stops it)")
    else:
        print("Stopped. `make up` starts it again and keeps it running, for its UI.")
    return status


def main() -> int:
    arguments = parser().parse_args()
    airflow = EmbeddedAirflow(arguments.work)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    if arguments.verb == "down":
        print("Stopped." if airflow.stop() else "Nothing was running.")
        return 0
    airflow.work.mkdir(parents=True, exist_ok=True)
    try:
        root = configure(airflow, arguments.samples, arguments.verdicts)
        if arguments.verb == "run":
            return run(airflow, root)
        running = airflow.running()
        if running is None:
            try:
                running = start(airflow)
            except BaseException:
                airflow.stop()
                raise
        print(f"Airflow runs at {running.url}: user admin, password in {airflow.home}.")
        print("`make run` updates the corpus in it; `make down` stops it.")
    except (BadSettingError, DeployError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
