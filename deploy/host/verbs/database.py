"""`clean-database`: old rows go, of Airflow's metadata database and of Celery's results.

No task can do this: tasks do not reach the one, and should not change the other.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime, timedelta

from deploy.common.errors import HostError
from deploy.common.shell import end_of
from deploy.host import engine
from deploy.host.jobs import Off, States
from deploy.host.settings import Settings

HELP = "remove old rows from the databases of Airflow and of Celery's results"


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what is there, remove nothing")


def run(settings: Settings, wanted: Namespace) -> int:
    if wanted.dry_run:
        print(clean(settings, dry_run=True))
    else:
        print(States(settings.state.folder).run("clean-database", lambda: clean(settings)))
    return 0


def clean(settings: Settings, *, dry_run: bool = False) -> str:
    """What was done, in a line. Raises `DeployError` with the end of what Airflow said."""
    days = settings.database.days
    if not days:
        return Off("Off: database.days is 0.")
    before = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
    command = ["airflow", "db", "clean", "--clean-before-timestamp", before, "--skip-archive"]
    # Without the last one it ends with 0 whatever happens.
    command += ["--dry-run"] if dry_run else ["--yes", "--error-on-cleanup-failure"]
    told = _run(settings, "init", command, f"rows older than {before} may still be there")
    results = ["python", "-m", "operators.maintenance.celery_results", "--days", str(days)]
    results += ["--dry-run"] if dry_run else []
    # The scheduler has the address of both. Airflow may print lines before the last, which tells.
    gone = _run(settings, "scheduler", results, "Airflow's own old rows are gone")
    gone = end_of(gone, lines=1)
    return f"{told}\n{gone}" if dry_run else f"Removed rows older than {before}. {gone}"


def _run(settings: Settings, service: str, command: list[str], state: str) -> str:
    """What a command in a container of a service printed. Raises `DeployError`, which tells the `state` of things."""
    done = engine.compose_run(settings.compose, service, *command)
    if done.returncode:
        said = end_of(done.stderr or done.stdout)
        name = " ".join(command[:3])
        raise HostError(f"`{name}` ended with status {done.returncode}; {state}.\n{said}")
    return done.stdout.strip()
