"""Removes old results of tasks from Celery's database, if one is configured.

Celery has a clean-up of its own, which only its beat calls, and Airflow runs none.

    python -m operators.maintenance.celery_results --days N [--dry-run]
"""

from __future__ import annotations

import argparse
from datetime import timedelta

from corpus.settings.section import MOST_DAYS


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m operators.maintenance.celery_results",
        description="Remove old results of tasks from Celery's database.",
    )
    parser.add_argument(
        "--days", type=int, required=True, help="older than so many days; 1 or more"
    )
    parser.add_argument("--dry-run", action="store_true", help="count them, and remove none")
    options = parser.parse_args()
    if not 1 <= options.days <= MOST_DAYS:
        # The scheduler reads the result of a task soon after its end, but not at once.
        parser.error(f"--days is 1 to {MOST_DAYS}")
    print(clean(options.days, dry_run=options.dry_run))


def clean(days: int, *, dry_run: bool = False) -> str:
    """What was removed, or with `dry_run` would be, in a line."""
    from airflow.providers.celery.executors.celery_executor_utils import app
    from celery.backends.database import DatabaseBackend, session_cleanup

    backend = app.backend
    if not isinstance(backend, DatabaseBackend):
        return f"Celery's results are in no database, but in {type(backend).__name__}."
    backend.expires = timedelta(days=days)
    session = backend.ResultSession()
    with session_cleanup(session):
        made = backend.task_cls
        count = session.query(made).filter(made.date_done < app.now() - backend.expires).count()
    if not dry_run:
        backend.cleanup()
    verb = "would be removed" if dry_run else "removed"
    return f"Results of Celery's tasks older than {days} days: {count} {verb}."


if __name__ == "__main__":
    main()
