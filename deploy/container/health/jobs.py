"""Has the scheduler, DAG processor or triggerer of this container done a round of its loop lately?

Each writes a heartbeat into the metadata database in its loop; what is asked for is that of this
container, and not of another that does the same.
"""

from __future__ import annotations

import os
import socket
import time

import psycopg2

from deploy.container.health.configuration import setting
from deploy.container.health.errors import HealthError, StartingError, UnreachableError
from deploy.container.health.patience import Patience
from deploy.container.health.processes import descendants, main_process, processes

JOBS = {
    "scheduler": "SchedulerJob",
    "dag-processor": "DagProcessorJob",
    "triggerer": "TriggererJob",
}
# They beat every five seconds; a pass over many files or tasks takes longer.
_SILENCE = float(os.environ.get("CORPUS_HEALTH_SILENCE_S", "60"))
_CONNECT_SECONDS = 5
# The clock of a process's start is this coarse.
_CLOCK = 5.0

_LAST = """
    select extract(epoch from start_date), extract(epoch from latest_heartbeat), state
    from job where job_type = %s and hostname = %s order by id desc limit 1
"""


def check(part: str) -> str:
    """When the last heartbeat was, in a line. Raises `HealthError`; a process that is silent is ended."""
    main, patience = main_process(processes()), Patience(part)
    host = hostname()
    last = _last_heartbeat(JOBS[part], host, patience)
    now = time.time()
    if last is None or last[0] < main.started - _CLOCK:
        if now - main.started < _SILENCE:
            raise StartingError("has no job in the database yet; started just now")
        silent, since = now - main.started, "no heartbeat since its start"
    else:
        silent, since = now - last[1], "last heartbeat"
    if silent < _SILENCE:
        patience.forget()
        return f"{since} {silent:.0f} s ago"
    pid = main.pid
    what = patience.fail(
        pid,
        idle=lambda: True,
        children=lambda: [one.pid for one in descendants(pid, processes())],
    )
    raise HealthError(f"{since} {silent:.0f} s ago; {what}")


def hostname() -> str:
    """As Airflow finds the name under which it registers a job."""
    name = socket.gethostname()
    try:
        found = socket.getaddrinfo(name, None, 0, socket.SOCK_DGRAM, 0, socket.AI_CANONNAME)
    except OSError:
        return name
    return next((one[3] for one in found if one[3]), name)


def _last_heartbeat(job: str, host: str, patience: Patience) -> tuple[float, float] | None:
    """Start and last heartbeat of the newest such job, in seconds since the epoch."""
    scheme, _, rest = setting("database", "sql_alchemy_conn").partition("://")
    if not scheme.startswith("postgresql"):
        raise HealthError(f"the check knows PostgreSQL, but not a {scheme} database")
    try:
        connection = psycopg2.connect(f"postgresql://{rest}", connect_timeout=_CONNECT_SECONDS)
        try:
            connection.set_session(readonly=True, autocommit=True)
            with connection.cursor() as cursor:
                cursor.execute("set statement_timeout = 5000")
                cursor.execute(_LAST, (job, host))
                row = cursor.fetchone()
        finally:
            connection.close()
    except psycopg2.Error as error:
        # Not the silence of this process; it gets its whole time when the database is back.
        patience.forget()
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UnreachableError(f"the metadata database does not answer: {first}") from None
    return (float(row[0]), float(row[1])) if row else None
