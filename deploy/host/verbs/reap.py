"""`reap`: what killed workers left on this host is removed, if no reaper does so all the time."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from deploy.common.errors import HostError, UnavailableError
from deploy.common.shell import end_of
from deploy.host import engine
from deploy.host.jobs import Off, States
from deploy.host.settings import Settings

HELP = "remove orphaned containers and scratch folders, where the reaper does not run"


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say which, and remove none")


def run(settings: Settings, wanted: Namespace) -> int:
    if wanted.dry_run:
        print(reap(settings, dry_run=True))
    else:
        print(States(settings.state.folder).run("reap", lambda: reap(settings)))
    return 0


def reap(settings: Settings, *, dry_run: bool = False) -> str:
    """What was done, in a line or more. Raises `DeployError`."""
    compose = settings.compose
    if not settings.reaper.enabled:
        return Off("Off: reaper.enabled is false.")
    if not any(file.is_file() for file in compose.files):
        return Off(f"Off: no compose file {compose.file}, so no worker runs here.")
    running = [one for one in engine.containers(compose.project) if one.service == "reaper"]
    if running:
        if running[0].health == "unhealthy":
            raise HostError(
                f"The reaper {running[0].name} completes no pass; `docker logs {running[0].name}` says why."
            )
        return f"The reaper {running[0].name} runs; there is nothing to do."
    command = ["python", "-m", "operators.reaper", "--once"]
    command += ["--dry-run"] if dry_run else []
    done = engine.compose_run(compose, "reaper", *command)
    said = end_of(done.stderr or done.stdout)
    if done.returncode == UnavailableError.status:
        raise UnavailableError(f"The reaper's pass was not completed: {said}")
    if done.returncode:
        raise HostError(f"The reaper's pass ended with status {done.returncode}:\n{said}")
    return end_of(done.stdout) or "There was nothing to remove."
