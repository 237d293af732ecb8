"""The few calls of Airflow's public API that `make run` and `make cluster-run` make."""

from __future__ import annotations

import time
from typing import Any

import httpx


class DagNotParsed(RuntimeError):
    """Airflow has not got a DAG; the message says why."""


class AirflowApi:
    """Airflow's API as one user; a token is fetched again when it has run out."""

    def __init__(self, url: str, user: str, password: str):
        self.url = url
        self._login = {"username": user, "password": password}
        self._client = httpx.Client(base_url=url, timeout=30)
        self._authenticate()

    def _authenticate(self) -> None:
        answer = self._client.post("/auth/token", json=self._login)
        answer.raise_for_status()
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """One call below /api/v2; raises `httpx.HTTPStatusError`."""
        answer = self._client.request(method, f"/api/v2/{path}", **arguments)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._authenticate()
            answer = self._client.request(method, f"/api/v2/{path}", **arguments)
        answer.raise_for_status()
        return answer.json()

    def wait_for_dag(self, dag_id: str, seconds: float = 120) -> None:
        """Wait until the DAG has been parsed; raises `DagNotParsed`, with its import error if it has one."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.call("GET", f"dags/{dag_id}")
                return
            except httpx.HTTPStatusError as error:
                if error.response.status_code != httpx.codes.NOT_FOUND:
                    raise
            broken = self.call("GET", "importErrors")["import_errors"]
            if broken:
                raise DagNotParsed(f"{broken[0]['filename']}:\n{broken[0]['stack_trace']}")
            if time.monotonic() > deadline:
                raise DagNotParsed(f"Airflow has not parsed the DAG {dag_id} in {seconds:.0f} s.")
            time.sleep(1)

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Unpause a DAG and begin a run; returns its run id."""
        self.call("PATCH", f"dags/{dag_id}", json={"is_paused": False})
        run = self.call(
            "POST", f"dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf or {}}
        )
        return str(run["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        return str(self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"])

    def runs(self, limit: int) -> list[dict[str, Any]]:
        """The last runs of all DAGs, the newest first."""
        parameters = {"limit": limit, "order_by": "-run_after"}
        found = self.call("GET", "dags/~/dagRuns", params=parameters)["dag_runs"]
        return list(found)

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """All task instances of a run, mapped ones each by itself."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.call(
                "GET",
                f"dags/{dag_id}/dagRuns/{run_id}/taskInstances",
                params={"limit": 100, "offset": len(found)},
            )
            found += page["task_instances"]
            if len(found) >= page["total_entries"] or not page["task_instances"]:
                return found

    def log(self, dag_id: str, run_id: str, task: dict[str, Any]) -> list[str]:
        """The lines of a task's last attempt."""
        content = self.call(
            "GET",
            f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/{max(1, task['try_number'])}",
            params={"map_index": task["map_index"], "full_content": "true"},
            headers={"Accept": "application/json"},
        )["content"]
        return [line for entry in content for line in _lines(entry)]


def _lines(entry: dict[str, Any] | str) -> list[str]:
    """A line of a log, and the exceptions that it tells of."""
    if isinstance(entry, str):
        return [entry]
    errors = entry.get("error_detail") or []
    return [entry["event"], *(f"{one['exc_type']}: {one['exc_value']}" for one in errors)]
