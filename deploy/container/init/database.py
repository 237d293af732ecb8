"""The metadata database: waits for it, and sees that it is one that this Airflow can migrate."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import airflow
from airflow.configuration import conf
from airflow.providers.fab import migrations as fab_migrations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from deploy.common.shell import run
from deploy.container.init.errors import BadDatabaseError

_PAUSE = 2.0
_TABLES = {
    "alembic_version": Path(airflow.__file__).parent / "migrations",
    "alembic_version_fab": Path(fab_migrations.__path__[0]),
}
# Celery's results may be kept in the same database.
_CELERY = {"celery_taskmeta", "celery_tasksetmeta"}


def migrate(seconds: float) -> None:
    """Bring the database to this Airflow's schema, once it answers. Raises `BadDatabaseError`."""
    for line in check(seconds):
        print(line, flush=True)
    done = run([sys.executable, "-m", "airflow", "db", "migrate"])
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        raise BadDatabaseError(
            f"`airflow db migrate` ended with status {done.returncode}; what it said is above. Run "
            "the init job again when that is mended; restore a backup if it does not go on."
        )


def check(seconds: float) -> list[str]:
    """What will be done with the database, in lines. Raises `BadDatabaseError`."""
    engine = create_engine(
        conf.get_mandatory_value("database", "sql_alchemy_conn"), poolclass=NullPool
    )
    deadline = time.monotonic() + seconds
    while True:
        try:
            with engine.connect() as connection:
                return _check(connection)
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            if time.monotonic() > deadline:
                raise BadDatabaseError(
                    f"The metadata database does not answer since {seconds:.0f} s: {reason}"
                ) from None
        time.sleep(_PAUSE)


def _check(connection: Connection) -> list[str]:
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" not in tables and (foreign := sorted(tables - _CELERY)):
        raise BadDatabaseError(
            f"The database holds tables that are not Airflow's ({', '.join(foreign[:3])} ...). "
            "sql_alchemy_conn has to name an empty database, or that of an Airflow."
        )
    lines = []
    for table, folder in _TABLES.items():
        scripts = ScriptDirectory(str(folder))
        known = {script.revision for script in scripts.walk_revisions()}
        head = scripts.get_current_head()
        found = set()
        if table in tables:
            found = set(connection.execute(text(f"select version_num from {table}")).scalars())  # noqa: S608
        if newer := found - known:
            raise BadDatabaseError(
                f"The database was migrated by another Airflow, probably a newer one: its revision "
                f"{', '.join(sorted(newer))} ({table}) is unknown to Airflow {airflow.__version__}. "
                "Use the image that migrated it, or restore the backup from before."
            )
        if found != {head}:
            was = ", ".join(sorted(found)) or "nothing"
            lines.append(f"Migrating {table}: from {was} to {head}.")
    return lines or ["The database is up to date."]
