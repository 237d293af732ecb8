"""`status`: which release runs here, in which containers, and how the periodic jobs went."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from typing import Any

from deploy.common.errors import DamagedError, UnavailableError
from deploy.host import engine, jobs, output
from deploy.host.engine import Container
from deploy.host.jobs import Outcome, States
from deploy.host.releases import INSIDE, Releases
from deploy.host.settings import Settings

HELP = "show the current release, the containers and their releases, and the periodic jobs"


def options(parser: ArgumentParser) -> None:
    output.options(parser)


def run(settings: Settings, wanted: Namespace) -> int:
    found = look(settings)
    if wanted.json:
        output.as_json(found)
    else:
        _print(found)
    return 0


def look(settings: Settings) -> dict[str, Any]:
    """All of it, as `--json` prints it."""
    releases = Releases(settings.releases.folder)
    current = releases.current
    since = [when for when, name in releases.history() if name == current]
    try:
        containers = [
            {
                "name": one.name,
                "service": one.service,
                "id": one.id,
                "started": output.moment(one.started),
                "health": one.health or None,
                "release": begun_with(one, releases),
            }
            for one in engine.containers(settings.compose.project)
        ]
        fault = None
    except UnavailableError as error:
        containers, fault = [], str(error)
    return {
        "current": current,
        "since": output.moment(since[-1]) if since else None,
        "tried": releases.tried(current) or None if current else None,
        "previous": releases.previous,
        "releases": releases.names(),
        "project": settings.compose.project,
        "containers": containers,
        "engine_fault": fault,
        "jobs": {job.name: _outcome(States(settings.state.folder), job.name) for job in jobs.ALL},
    }


def begun_with(container: Container, releases: Releases) -> str | None:
    """The release that was current when a container was started; None where it does not use this host's.

    A process of it would tell, but for those of Celery and of the API: these write their titles over the environment
    that docker/airflow/with-release has given them.
    """
    folder = container.folders.get(INSIDE)
    if folder is None or folder.resolve() != releases.folder.resolve():
        return None
    before = [name for when, name in releases.history() if when <= container.started]
    return before[-1] if before else None


def _outcome(states: States, job: str) -> dict[str, Any] | None:
    try:
        outcome = states.read(job)
    except DamagedError as error:
        outcome = Outcome(job, "", "", jobs.FAILED, str(error))
    return asdict(outcome) if outcome else None


def _print(found: dict[str, Any]) -> None:
    print(f"current   {found['current'] or 'none: run `corpus-airflow install`'}", end="")
    print(f", since {found['since']}" if found["since"] else "")
    if found["tried"]:
        print(f"tried     {found['tried']}")
    print(f"previous  {found['previous'] or 'none'}")
    print(f"releases  {', '.join(found['releases']) or 'none'}")
    print(f"\ncontainers of the project {found['project']}")
    if found["engine_fault"]:
        print(f"  {found['engine_fault']}")
    elif not found["containers"]:
        print("  none runs here")
    else:
        rows = [
            (one["name"], one["release"] or "-", one["started"], one["health"] or "")
            for one in found["containers"]
        ]
        output.table(("name", "began with", "started", "health"), rows, "  ")
    print("\nperiodic jobs")
    output.table(
        ("job", "last", "last success", "last failure", ""),
        [_job(name, outcome) for name, outcome in found["jobs"].items()],
        "  ",
    )


def _job(name: str, outcome: dict[str, Any] | None) -> tuple[str, ...]:
    if outcome is None:
        return name, "never ran", "-", "-", ""
    message = outcome["message"].splitlines()
    return (
        name,
        outcome["status"],
        outcome["last_success"] or "-",
        outcome["last_failure"] or "-",
        message[0] if message else "",
    )
