"""What Airflow's public API tells of a release: how many runs are on it, and whether new ones would begin with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from deploy.host.errors import BadInputError, Unavailable
from deploy.host.settings import Api

_ANSWER_S = 30
_UNFINISHED = ("queued", "running")


class Airflow:
    """Airflow's API as one user, who may see all DAGs: what is not shown would count as unused.

    Each question is asked about one release and answered by a count. A list of all unfinished runs would come in
    pages, and a run that ends between two pages moves another one out of both.
    """

    def __init__(self, api: Api) -> None:
        if not api.url.startswith(("http://", "https://")):
            raise BadInputError(
                f"api.url is to begin with http:// or https://, and is {api.url!r}."
            )
        self._api = api
        self._url = api.url.rstrip("/")
        # A host's proxy is for the world outside.
        self._opener = build_opener(ProxyHandler({}))
        self._headers = {"Content-Type": "application/json"}

    def runs_on(self, release: str) -> int:
        """How many runs that are queued or running began with a release. Raises `BadInputError`, `Unavailable`."""
        return self._count("dags/~/dagRuns", bundle_version=release, state=_UNFINISHED)

    def dags_of(self, release: str) -> int:
        """How many DAGs would begin a new run with it, since Airflow has read no newer. Raises as above."""
        return self._count("dags", bundle_version=release)

    def _count(self, path: str, **query: Any) -> int:
        if "Authorization" not in self._headers:
            self._log_in()
        words = urlencode({**query, "limit": 1}, doseq=True)
        answer = self._call(f"/api/v2/{path}?{words}")
        count = answer.get("total_entries") if isinstance(answer, dict) else None
        if not isinstance(count, int):
            raise Unavailable(f"{self._url} does not answer as Airflow 3 does.")
        return count

    def _log_in(self) -> None:
        file = self._api.password_file
        try:
            password = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInputError(f"api.password_file {file} cannot be read: {error}") from None
        answer = self._call("/auth/token", {"username": self._api.user, "password": password})
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not token:
            raise Unavailable(f"{self._url} gave no token for {self._api.user}.")
        self._headers["Authorization"] = f"Bearer {token}"

    def _call(self, path: str, body: Mapping[str, str] | None = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        # http or https, as was seen to above.
        request = Request(self._url + path, data, self._headers)  # noqa: S310
        try:
            with self._opener.open(request, timeout=_ANSWER_S) as answer:
                return json.load(answer)
        except HTTPError as error:
            if error.code in (401, 403):
                raise Unavailable(
                    f"{self._url} refuses {self._api.user} ({error.code}): api.user must be one who may see "
                    "all DAGs and runs, and api.password_file hold the password."
                ) from None
            raise Unavailable(f"{self._url} answered {error.code} {error.reason}.") from None
        except (HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise Unavailable(f"Airflow at {self._url} does not answer: {reason}") from None
        except ValueError:
            raise Unavailable(f"{self._url} does not answer as Airflow 3 does.") from None
