"""The environment of the embedded Airflow: nothing of Airflow's comes from the shell that starts it.

A shell may hold the settings of another Airflow, its database and its secrets among them. What people
need of Airflow's own settings has one of ours, in the worker settings.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.common.cgroups import usable_cores
from deploy.local.variables import is_airflows
from operators.containers.environment import no_proxy
from operators.settings import WorkerSettings

REPO = Path(__file__).resolve().parents[3]
MARK = "CORPUS_EMBEDDED"
_NOBODYS = "1"


def environment(
    home: Path, config: Path, port: int, shell: Mapping[str, str], settings: WorkerSettings
) -> dict[str, str]:
    """Return the environment that Airflow and its tasks get.

    :param home: Airflow's own folder.
    :param config: corpus.toml.
    :param port: where the API server is to listen, on 127.0.0.1.
    :param shell: the environment of the shell; what begins with AIRFLOW_ stays out.
    :param settings: the metrics and the format of logs that are wanted.
    """
    taken = {name: value for name, value in shell.items() if not is_airflows(name)}
    return {**taken, **_made(home, config, port, shell), **_wanted(settings)}


def _made(home: Path, config: Path, port: int, shell: Mapping[str, str]) -> dict[str, str]:
    tasks = max(2, usable_cores())
    path = [str(REPO), *filter(None, [shell.get("PYTHONPATH")])]
    return {
        MARK: str(home),
        # Or else Airflow's process titles overwrite the environment that the mark is read from.
        "SPT_NOENV": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{shell.get('PATH', os.defpath)}",
        "PYTHONPATH": os.pathsep.join(path),
        # File names are bytes to Linux; without this, a C locale makes some of them unreadable.
        "PYTHONUTF8": "1",
        # Airflow's parts talk to each other on loopback.
        **no_proxy(shell),
        "CORPUS_CONFIG": str(config),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPO / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPO / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # A worker often sees the end of its task's process only at its next heartbeat, so some
        # more are ready to take the next task: never more of them at work than there are cores.
        "AIRFLOW__CORE__PARALLELISM": str(4 * tasks),
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(tasks),
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "CORPUS_SHARDS__WORKERS": str(tasks),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        # There are no log servers, which the API server asks all the same about what runs: at a port that only root
        # could listen on, and not at one that another user may have. That nobody answers is no news.
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": _NOBODYS,
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": _NOBODYS,
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "airflow.utils.log.file_task_handler=CRITICAL",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        # Airflow's own pattern, and a length that leaves room in the name of a log's folder.
        "AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN": r"^[A-Za-z0-9_.~:+-]{1,200}\Z",
        # What ran when the scheduler was killed goes on soon after its restart; Airflow's own is 5 minutes.
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
        # And what ran in a process of the executor that was killed; 5 minutes, too.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "90",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def _wanted(settings: WorkerSettings) -> dict[str, str]:
    wanted = {"AIRFLOW__LOGGING__JSON_LOGS": str(settings.logs.json_lines)}
    if settings.metrics.statsd:
        host, _, port = settings.metrics.statsd.rpartition(":")
        wanted |= {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": host.strip("[]"),
            "AIRFLOW__METRICS__STATSD_PORT": port,
            "AIRFLOW__METRICS__STATSD_PREFIX": settings.metrics.prefix,
        }
    return wanted
