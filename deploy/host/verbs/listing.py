"""`releases`: what is installed side by side, and what is in use."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.common.airflow_api import AirflowApi
from deploy.common.errors import DeployError
from deploy.host import output
from deploy.host.releases import Releases
from deploy.host.settings import Settings

HELP = "list the releases, their sizes and the runs that are on them"


def options(parser: ArgumentParser) -> None:
    output.options(parser)


def run(settings: Settings, wanted: Namespace) -> int:
    releases = Releases(settings.releases.folder)
    runs: dict[str, int] = {}
    fault = None
    api = settings.api
    if api.url:
        try:
            airflow = AirflowApi(api.url, api.user, api.password_file)
            runs = {name: airflow.runs_on(name) for name in releases.names()}
        except DeployError as error:
            fault = str(error)
    rows = [_row(releases, name, runs) for name in reversed(releases.names())]
    if wanted.json:
        output.as_json({"releases": rows, "airflow_fault": fault})
        return 0
    output.table(
        ("version", "installed", "", "size", "runs"),
        [
            (
                row["version"],
                row["installed"],
                row["is"] or "",
                output.size(row["bytes"]),
                "-" if row["runs"] is None else str(row["runs"]),
            )
            for row in rows
        ],
    )
    if fault:
        print(f"\nRuns are not known. {fault}")
    return 0


def _row(releases: Releases, name: str, runs: dict[str, int]) -> dict[str, Any]:
    return {
        "version": name,
        "installed": output.moment(installed(releases, name)),
        "is": {releases.current: "current", releases.previous: "previous"}.get(name),
        "bytes": size(releases / name),
        "runs": runs.get(name),
        "tried": releases.tried(name) or None,
    }


def installed(releases: Releases, name: str) -> datetime:
    return datetime.fromtimestamp((releases / name).stat().st_mtime, UTC)


def size(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
