"""The environment of the embedded Airflow: nothing of Airflow's comes from the shell that starts it.

A shell may hold the settings of another Airflow, its database and its secrets among them. What people
need of Airflow's own settings has one of ours, in the worker settings.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.ports import free_port
from operators.settings import WorkerSettings

REPO = Path(__file__).resolve().parents[3]
MARK = "CORPUS_EMBEDDED"
_AIRFLOW = "AIRFLOW_"
_OURS = "CORPUS_"
# Never by a proxy, whatever the shell says: Airflow's parts talk to each other there.
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


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
    taken = {
        name: value for name, value in shell.items() if not name.lstrip("_").startswith(_AIRFLOW)
    }
    return {**taken, **_made(home, config, port, shell), **_wanted(settings)}


def remarks(shell: Mapping[str, str]) -> list[str]:
    """Return a line on what is used of a shell's settings, and one on what is not; none if it has none."""
    made = _made(Path(), Path(), 0, {}).keys() - {MARK}
    used = _settings(shell)
    unused = [n for n in sorted(shell) if n.lstrip("_").startswith(_AIRFLOW)]
    unused += [n for n in sorted(shell) if n.startswith(_OURS) and n in made]
    lines = []
    if used:
        lines.append(f"Settings of this shell that hold here: {', '.join(used)}.")
    if unused:
        lines.append(
            f"Variables of this shell that are not used here: {', '.join(unused)}. This Airflow has its own "
            "settings; docs/reference/settings.md lists those to choose."
        )
    return lines


def late_remarks(shell: Mapping[str, str]) -> list[str]:
    """Return a line on a shell's settings that come too late, as Airflow runs already; none if it has none."""
    if not (late := _settings(shell)):
        return []
    return [
        f"Settings of this shell that do not reach what runs already: {', '.join(late)}. For them: `make down` first."
    ]


def _settings(shell: Mapping[str, str]) -> list[str]:
    made = _made(Path(), Path(), 0, {})
    return [n for n in sorted(shell) if n.startswith(_OURS) and "__" in n and n not in made]


def _made(home: Path, config: Path, port: int, shell: Mapping[str, str]) -> dict[str, str]:
    tasks = max(2, os.cpu_count() or 2)
    path = [str(REPO), *filter(None, [shell.get("PYTHONPATH")])]
    direct = _direct(shell)
    return {
        MARK: str(home),
        # Or else Airflow's process titles overwrite the environment that the mark is read from.
        "SPT_NOENV": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{shell.get('PATH', os.defpath)}",
        "PYTHONPATH": os.pathsep.join(path),
        # File names are bytes to Linux; without this, a C locale makes some of them unreadable.
        "PYTHONUTF8": "1",
        "no_proxy": direct,
        "NO_PROXY": direct,
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
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        # Airflow's own pattern, and a length that leaves room in the name of a log's folder.
        "AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN": r"^[A-Za-z0-9_.~:+-]{1,200}\Z",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def _direct(shell: Mapping[str, str]) -> str:
    """What goes through no proxy: what the shell says, and loopback."""
    said = [shell[name] for name in ("no_proxy", "NO_PROXY") if shell.get(name)]
    hosts = [host.strip() for one in said for host in one.split(",") if host.strip()]
    # A star means all only if it stands alone.
    return "*" if "*" in hosts else ",".join(dict.fromkeys([*hosts, *_LOOPBACK]))


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
