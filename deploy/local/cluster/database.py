"""The laptop's Postgres: a database for Celery's results beside Airflow's, and whether Airflow's is migrated."""

from __future__ import annotations

from deploy.local.cluster.compose import Compose

# Celery's user cannot read Airflow's database, so that a worker, which runs anyone's DAG, cannot.
_CELERY = """\
SELECT 'CREATE ROLE celery LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'celery') \\gexec
ALTER ROLE celery PASSWORD :'password';
SELECT 'CREATE DATABASE celery OWNER celery'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'celery') \\gexec
REVOKE CONNECT ON DATABASE airflow FROM PUBLIC;
"""
_MIGRATED = "SELECT to_regclass('alembic_version') IS NOT NULL;\n"
# Passwords are read inside, from files: no command line and no environment of a container has them.
_PSQL = (
    "PGPASSWORD=$(cat /run/secrets/postgres_password) "
    "exec psql --quiet --no-psqlrc --tuples-only --no-align --set ON_ERROR_STOP=1 --username airflow airflow"
)


def prepare(compose: Compose) -> None:
    """Make Celery's user and database, if they are missing."""
    password = (compose.place / "secrets" / "celery_password").read_text()
    _sql(compose, f"\\set password '{password}'\n{_CELERY}")


def is_migrated(compose: Compose) -> bool:
    """Whether Airflow's tables are there, of whichever version."""
    return _sql(compose, _MIGRATED).strip() == "t"


def _sql(compose: Compose, statements: str) -> str:
    return compose.run("exec", "-T", "postgres", "sh", "-c", _PSQL, capture=True, input=statements)
