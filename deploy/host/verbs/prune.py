"""`prune`: releases that nobody needs any more are removed; if that cannot be known, none is."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from deploy.common.airflow_api import AirflowApi
from deploy.common.errors import BadInputError, DeployError
from deploy.host import engine
from deploy.host.jobs import States
from deploy.host.releases import Releases
from deploy.host.settings import Api, Settings
from deploy.host.verbs.listing import installed
from deploy.host.verbs.status import begun_with

HELP = "remove old releases that no unfinished run is on"


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say which, and remove none")


def run(settings: Settings, wanted: Namespace) -> int:
    if wanted.dry_run:
        for name, why in judged(settings).items():
            print(f"{name} {f'stays: {why}' if why else 'would be removed'}")
        return 0
    print(States(settings.state.folder).run("prune", lambda: prune(settings)))
    return 0


def prune(settings: Settings) -> str:
    """What was removed, in a line. Raises `DeployError` before anything is."""
    releases = Releases(settings.releases.folder)
    gone = []
    for name, why in judged(settings).items():
        if why is None:
            # Made current since, or removed by hand.
            with suppress(BadInputError):
                releases.remove(name)
                gone.append(name)
    left = ", ".join(releases.names()) or "none"
    return f"Removed {', '.join(gone) or 'nothing'}; here are {left}."


def judged(settings: Settings) -> dict[str, str | None]:
    """Why each release stays, oldest first; None if it may go. Raises `DeployError`."""
    releases = Releases(settings.releases.folder)
    if not releases.folder.is_dir():
        raise BadInputError(
            f"There is no folder {releases.folder}: set releases.folder, or mount it."
        )
    kept = settings.releases.kept
    names = releases.names()
    stays: dict[str, str | None] = dict.fromkeys(names)
    stays |= dict.fromkeys(names[-kept:], f"one of the newest {kept}")
    for name, why in ((releases.previous, "previous"), (releases.current, "current")):
        if name in stays:
            stays[name] = why
    old = [name for name, why in stays.items() if why is None]
    if old and settings.api.url:
        stays |= _used(old, settings.api)
    else:
        stays |= _lately(old, releases, settings.releases.unasked_days)
    stays |= _begun(releases, settings.compose.project) if None in stays.values() else {}
    return stays


def _begun(releases: Releases, project: str) -> dict[str, str | None]:
    """Those that processes here are on: they import from them for as long as they live."""
    if shutil.which("docker") is None:
        return {}
    begun = {begun_with(one, releases): one.name for one in engine.containers(project)}
    return {name: f"{container} began with it" for name, container in begun.items() if name}


def _used(names: list[str], api: Api) -> dict[str, str | None]:
    try:
        airflow = AirflowApi(api.url, api.user, api.password_file)
        return {name: _use(airflow, name) for name in names}
    except DeployError as error:
        error.args = (f"{error}\nWhich releases are in use is not known; none was removed.",)
        raise


def _use(airflow: AirflowApi, name: str) -> str | None:
    # New runs first: one that begins between the two questions is in the answer to the second.
    if airflow.dags_of(name):
        return "new runs begin with it"
    count = airflow.runs_on(name)
    return f"runs under way on it: {count}" if count else None


def _lately(names: list[str], releases: Releases, days: int) -> dict[str, str | None]:
    """Those that were installed or current within so many days stay."""
    since = datetime.now(UTC) - timedelta(days=days)
    used = {name: installed(releases, name) for name in names}
    # A release was current until the next one came.
    for (_, name), (end, _) in pairwise(releases.history()):
        if name in used:
            used[name] = max(used[name], end)
    why = f"in use within the last {days} days, and api.url is not set"
    return {name: why if when > since else None for name, when in used.items()}
