"""Airflow's public API, as one user: what the host command and the local Airflows ask of it."""

from __future__ import annotations

import json as json_
import time
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from deploy.common.errors import AnswerError, BadInputError, DagNotParsedError, UnavailableError

_ANSWER_S = 30
_HEALTH_S = 5
_UNFINISHED = ("queued", "running")
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _SERVER_ERROR = 401, 403, 404, 409, 500
_TRIES = 5


class _NoRedirects(HTTPRedirectHandler):
    # The token is for this address, and would go along to another one.
    def redirect_request(self, *arguments: Any) -> None:
        return None


class AirflowApi:
    """Airflow's API as one user; logs in at the first call, and again when the token has run out.

    :param password: the password, or the file that holds it.

    All calls raise `UnavailableError` if Airflow does not answer as it should, `AnswerError` (one of these) if it
    answers with an HTTP error, and `BadInputError` if the password cannot be read.
    """

    def __init__(self, url: str, user: str, password: str | Path) -> None:
        if not url.startswith(("http://", "https://")):
            raise BadInputError(f"api.url is to begin with http:// or https://, and is {url!r}.")
        self.url = url.rstrip("/")
        self._user = user
        self._password = password
        # A host's proxy is for the world outside.
        self._opener = build_opener(ProxyHandler({}), _NoRedirects)
        self._token: str | None = None

    # What the host command asks: each question is about one release and answered by a count. A list of all
    # unfinished runs would come in pages, and a run that ends between two pages moves another one out of both.

    def runs_on(self, release: str) -> int:
        """Count the queued and running runs that began with a release; of all DAGs that the user may see."""
        return self._count("dags/~/dagRuns", bundle_version=release, state=_UNFINISHED)

    def dags_of(self, release: str) -> int:
        """Count the DAGs whose next run would begin with a release, since Airflow has read no newer one."""
        return self._count("dags", bundle_version=release)

    def _count(self, path: str, **query: Any) -> int:
        answer = self.call("GET", path, params={**query, "limit": 1})
        count = answer.get("total_entries") if isinstance(answer, dict) else None
        if not isinstance(count, int):
            raise UnavailableError(f"{self.url} does not answer as Airflow 3 does.")
        return count

    # What `make run` and `make cluster-run` ask.

    def health(self) -> dict[str, str]:
        """The state of each part as Airflow has it: "healthy", "unhealthy", or "" for one that was never there.

        It asks for no log-in.
        """
        answer = self._send("GET", "/api/v2/monitor/health", None, _HEALTH_S)
        parts = answer.items() if isinstance(answer, dict) else ()
        return {
            name: str(part.get("status") or "") for name, part in parts if isinstance(part, dict)
        }

    def wait_for_dag(self, dag_id: str, seconds: float = 120) -> None:
        """Wait until a DAG has been parsed. Raises `DagNotParsedError`, with its import error if it has one."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.call("GET", f"dags/{dag_id}")
                return
            except UnavailableError as error:
                if _code(error) != _NOT_FOUND:
                    if not _passes(error) or time.monotonic() > deadline:
                        raise
                    time.sleep(1)
                    continue
            broken = self._insist("GET", "importErrors")["import_errors"]
            if broken:
                raise DagNotParsedError(f"{broken[0]['filename']}:\n{broken[0]['stack_trace']}")
            if time.monotonic() > deadline:
                raise DagNotParsedError(
                    f"Airflow has not parsed the DAG {dag_id} in {seconds:.0f} s."
                )
            time.sleep(1)

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Unpause a DAG and begin a run; return its run id.

        The run has its id from here, so that it is begun once though it may be asked for again.
        """
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        self._insist("PATCH", f"dags/{dag_id}", json={"is_paused": False})
        self._insist("POST", f"dags/{dag_id}/dagRuns", json=body, done=_CONFLICT)
        return run_id

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """All that Airflow tells of a run."""
        return dict(self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}"))

    def run_state(self, dag_id: str, run_id: str) -> str:
        return str(self.run(dag_id, run_id)["state"])

    def run_after(self, dag_id: str, run_id: str) -> datetime:
        """When a run was to start and, once it has started, when it did (see operators.scheduling.starts); aware."""
        run = self._insist("GET", f"dags/{dag_id}/dagRuns/{run_id}")
        return datetime.fromisoformat(run["run_after"])

    def active_runs(self, dag_id: str) -> list[dict[str, Any]]:
        """The queued and running runs of a DAG, the oldest first."""
        parameters = {"state": _UNFINISHED, "order_by": "run_after", "limit": 100}
        return list(self.call("GET", f"dags/{dag_id}/dagRuns", params=parameters)["dag_runs"])

    def runs(self, limit: int) -> list[dict[str, Any]]:
        """The last runs of all DAGs, the newest first."""
        parameters = {"limit": limit, "order_by": "-run_after"}
        return list(self.call("GET", "dags/~/dagRuns", params=parameters)["dag_runs"])

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
        """The lines of a task's last try."""
        content = self.call(
            "GET",
            f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/{max(1, task['try_number'])}",
            params={"map_index": task["map_index"], "full_content": "true"},
        )["content"]
        return [line for entry in content for line in _lines(entry)]

    def call(
        self, method: str, path: str, *, params: dict[str, Any] | None = None, json: Any = None
    ) -> Any:
        """Call a path below /api/v2, and return the JSON of the answer.

        :param params: the query; a value may be several.
        :param json: the body.
        """
        query = f"?{urlencode(params, doseq=True)}" if params else ""
        fresh = self._token is None
        if fresh:
            self._log_in()
        try:
            return self._send(method, f"/api/v2/{path}{query}", json)
        except AnswerError as error:
            if error.code != _UNAUTHORIZED or fresh:
                raise
        self._log_in()
        return self._send(method, f"/api/v2/{path}{query}", json)

    def _insist(self, method: str, path: str, *, json: Any = None, done: int = 0) -> Any:
        """As `call`, and again if Airflow is slow or at odds with itself, as on SQLite while another one writes.

        :param done: the status which says that an earlier try, whose answer did not come, has done it.
        """
        left = _TRIES
        while True:
            try:
                return self.call(method, path, json=json)
            except UnavailableError as error:
                if left < _TRIES and _code(error) == done:
                    return None
                left -= 1
                if not left or not _passes(error):
                    raise
                time.sleep(1)

    def _log_in(self) -> None:
        self._token = None
        password = self._password
        if isinstance(password, Path):
            try:
                password = password.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise BadInputError(
                    f"api.password_file {password} cannot be read: {error}"
                ) from None
        login = {"username": self._user, "password": password}
        answer = self._send("POST", "/auth/token", login)
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not token:
            raise UnavailableError(f"{self.url} gave no token for {self._user}.")
        self._token = str(token)

    def _send(self, method: str, path: str, body: Any, seconds: float | None = None) -> Any:
        headers = {"Accept": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None
        if body is not None:
            data = json_.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        # http or https, as was seen to above.
        request = Request(self.url + path, data, headers, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=seconds or _ANSWER_S) as answer:
                content = answer.read()
            return json_.loads(content) if content else None
        except HTTPError as error:
            raise self._answered(error) from None
        except (HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise UnavailableError(f"Airflow at {self.url} does not answer: {reason}") from None
        except ValueError:
            raise UnavailableError(f"{self.url} does not answer as Airflow 3 does.") from None

    def _answered(self, error: HTTPError) -> AnswerError:
        if error.code in (_UNAUTHORIZED, _FORBIDDEN):
            return AnswerError(
                f"{self.url} refuses {self._user} ({error.code}): api.user must be one who may see "
                "all DAGs and runs, and api.password_file hold the password.",
                error.code,
            )
        return AnswerError(f"{self.url} answered {error.code} {error.reason}.", error.code)


def _code(error: UnavailableError) -> int | None:
    """The HTTP status of an answer; None if there was no answer."""
    return error.code if isinstance(error, AnswerError) else None


def _passes(error: UnavailableError) -> bool:
    """Whether the same question may be answered a little later."""
    code = _code(error)
    return code is None or code >= _SERVER_ERROR


def _lines(entry: dict[str, Any] | str) -> list[str]:
    """A line of a log, and the exceptions that it tells of."""
    if isinstance(entry, str):
        return [entry]
    errors = entry.get("error_detail") or []
    return [entry["event"], *(f"{one['exc_type']}: {one['exc_value']}" for one in errors)]
