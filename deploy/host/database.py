"""`clean-database`: old rows of Airflow's metadata database go. No task can do this: tasks do not reach it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime, timedelta

from deploy.host import engine
from deploy.host.errors import HostError
from deploy.host.jobs import Off, States
from deploy.host.settings import Settings

HELP = "remove old rows from Airflow's metadata database"


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what is there, remove nothing")


def run(settings: Settings, wanted: Namespace) -> int:
    if wanted.dry_run:
        print(clean(settings, dry_run=True))
    else:
        print(States(settings.state.folder).run("clean-database", lambda: clean(settings)))
    return 0


def clean(settings: Settings, *, dry_run: bool = False) -> str:
    """What was done, in a line. Raises `HostError` with the end of what Airflow said."""
    days = settings.database.days
    if not days:
        return Off("Off: database.days is 0.")
    before = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
    command = ["airflow", "db", "clean", "--clean-before-timestamp", before, "--skip-archive"]
    # Without the last one it ends with 0 whatever happens.
    command += ["--dry-run"] if dry_run else ["--yes", "--error-on-cleanup-failure"]
    done = engine.compose_run(settings.compose, "init", *command)
    said = engine.end_of(done.stderr or done.stdout)
    if done.returncode:
        raise HostError(
            f"`airflow db clean` ended with status {done.returncode}; rows older than {before} "
            f"may still be there.\n{said}"
        )
    if dry_run:
        return done.stdout.strip()
    return f"Removed rows older than {before}."
