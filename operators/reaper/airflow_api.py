"""What the reaper asks Airflow's public API: in which state is this task?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from corpus.errors import BadSettingError
from operators.errors import NoAnswerError, RefusedError
from operators.task_try import TaskTry

# Airflow's own default for the most that one answer holds ([api] maximum_page_limit).
PAGE = 100
_SECONDS = (5.0, 30.0)
# 401 to a token that has run out, 403 to one that was signed with a secret since changed.
_TOKEN_REFUSED = (requests.codes.unauthorized, requests.codes.forbidden)
# A host's proxy is for the world outside.
_DIRECT = {"no_proxy": "*"}
# Part of an address these would ask for something else than the run of that name.
_NOT_NAMES = ("", ".", "..", "~")
# How Airflow words the 404 for a run that is gone, and for a DAG that it has not (or not yet) serialized,
# whose run may be there. Any other 404 is not about these.
_NO_RUN, _NO_DAG = "DagRun with dag_id:", "The Dag with ID:"


@dataclass(frozen=True, order=True)
class TaskKey:
    """One task instance, whichever its try; `map_index` is -1 for a task that is not mapped."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int

    @classmethod
    def of(cls, task: TaskTry) -> TaskKey:
        return cls(task.dag_id, task.run_id, task.task_id, task.map_index)

    @property
    def askable(self) -> bool:
        """Whether these are names that a task can have, so that Airflow can be asked about it."""
        names = (self.dag_id, self.run_id, self.task_id)
        return not any(name in _NOT_NAMES or "/" in name for name in names)


@dataclass(frozen=True)
class TaskState:
    """A task instance as Airflow has it; `state` is None before its first try and after a clear."""

    state: str | None
    try_number: int
    max_tries: int


class AirflowApi:
    """Airflow's API as one user, by a token that is fetched again when it is no longer taken.

    `password_file` is read for each token, so a password may change while this runs.
    """

    def __init__(self, url: str, user: str, password_file: Path) -> None:
        self.url = url.rstrip("/")
        self._user = user
        self._password_file = password_file
        self._session = requests.Session()
        self._token: str | None = None

    def check(self) -> None:
        """Raise `NoAnswerError` if nothing could be asked."""
        answer = self._get("dags", [("limit", 1)])
        # Someone who may see only some DAGs may be refused the list of all.
        if answer.status_code not in (requests.codes.ok, requests.codes.forbidden):
            raise NoAnswerError(f"{self.url} answered {answer.status_code}.")

    def find(self, keys: Collection[TaskKey]) -> dict[TaskKey, TaskState]:
        """The tasks of one `dag_id`, `run_id` and `task_id`; one that Airflow does not have is left out.

        The list for one DAG, rather than the batch call for all: that one writes into Airflow's
        audit log each time, and leaves out silently what the user may not see. Raises `NoAnswerError`,
        and `RefusedError` if the user may not see the DAG, or Airflow cannot read it just now.
        """
        wanted = sorted(keys)
        found: dict[TaskKey, TaskState] = {}
        for start in range(0, len(wanted), PAGE):
            found.update(self._instances(wanted[start : start + PAGE]))
        return {key: found[key] for key in keys if key in found}

    def _instances(self, keys: list[TaskKey]) -> dict[TaskKey, TaskState]:
        first = keys[0]
        path = f"dags/{_part(first.dag_id)}/dagRuns/{_part(first.run_id)}/taskInstances"
        parameters: list[tuple[str, str | int]] = [("task_id", first.task_id), ("limit", PAGE)]
        parameters += [("map_index", key.map_index) for key in keys]
        found: dict[TaskKey, TaskState] = {}
        while True:
            answer = self._get(path, [*parameters, ("offset", len(found))])
            if answer.status_code == requests.codes.forbidden:
                raise RefusedError(
                    f"the user {self._user!r} may not see the tasks of {first.dag_id}.",
                    hint="Give this user the role Viewer, or read access to every DAG of the corpus.",
                )
            try:
                content = answer.json()
                if answer.status_code == requests.codes.not_found:
                    detail = content["detail"]
                    if detail.startswith(_NO_RUN):
                        return {}
                    if detail.startswith(_NO_DAG):
                        raise RefusedError(f"Airflow has the run {first.run_id}, but: {detail}.")
                if answer.status_code == requests.codes.ok:
                    page = {_key(entry): _state(entry) for entry in content["task_instances"]}
                    known = len(found)
                    found.update(page)
                    # A task that is missing because the server's pages are smaller is not gone.
                    if len(found) >= int(content["total_entries"]):
                        return found
                    if len(found) > known:
                        continue
            except (ValueError, LookupError, TypeError, AttributeError):
                pass
            raise NoAnswerError(
                f"{self.url} answered {answer.status_code} to {path}, not as Airflow does."
            )

    def _get(self, path: str, parameters: list[tuple[str, str | int]]) -> requests.Response:
        try:
            for attempt in range(2):
                if self._token is None:
                    self._token = self._login()
                answer = self._session.get(
                    f"{self.url}/api/v2/{path}",
                    params=parameters,
                    auth=_Bearer(self._token),
                    timeout=_SECONDS,
                    proxies=_DIRECT,
                    allow_redirects=False,
                )
                if answer.status_code not in _TOKEN_REFUSED or attempt:
                    break
                self._token = None
        except requests.RequestException as error:
            raise NoAnswerError(f"{self.url} cannot be asked: {type(error).__name__}.") from error
        return answer

    def _login(self) -> str:
        try:
            password = self._password_file.read_text().strip()
        except OSError as error:
            raise BadSettingError(
                f"the password of Airflow's user {self._user!r} cannot be read: {error.strerror}.",
                file=str(self._password_file),
                field="reaper.api_password_file",
            ) from error
        answer = self._session.post(
            f"{self.url}/auth/token",
            json={"username": self._user, "password": password},
            timeout=_SECONDS,
            proxies=_DIRECT,
            allow_redirects=False,
        )
        try:
            return str(answer.json()["access_token"])
        except (ValueError, KeyError, TypeError):
            raise NoAnswerError(
                f"{self.url} gave the user {self._user!r} no token: status {answer.status_code}.",
                hint="401: see that reaper.api_user and its password file are right.",
            ) from None


def by_task(keys: Iterable[TaskKey]) -> Iterator[list[TaskKey]]:
    """The keys in the groups that `AirflowApi.find` takes."""
    for _, group in groupby(sorted(keys), lambda key: (key.dag_id, key.run_id, key.task_id)):
        yield list(group)


class _Bearer(requests.auth.AuthBase):
    # As a header of the session it would give way to an entry of ~/.netrc.
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _part(name: str) -> str:
    return quote(name, safe="")


def _key(entry: dict[str, Any]) -> TaskKey:
    return TaskKey(
        str(entry["dag_id"]),
        str(entry["dag_run_id"]),
        str(entry["task_id"]),
        int(entry["map_index"]),
    )


def _state(entry: dict[str, Any]) -> TaskState:
    return TaskState(entry["state"], int(entry["try_number"]), int(entry["max_tries"]))
