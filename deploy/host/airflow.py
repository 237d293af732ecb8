"""What Airflow's public API tells of releases: which ones runs are on, and which ones new runs would begin with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from deploy.host.errors import BadInput, Unavailable
from deploy.host.settings import Api

# Airflow's own default for the most that one answer holds ([api] maximum_page_limit).
PAGE = 100
_ANSWER_S = 30
_UNFINISHED = ("queued", "running")


class Airflow:
    """Airflow's API as one user, who may see all DAGs: what is not shown would count as unused."""

    def __init__(self, api: Api) -> None:
        if not api.url.startswith(("http://", "https://")):
            raise BadInput(f"api.url is to begin with http:// or https://, and is {api.url!r}.")
        self._api = api
        self._url = api.url.rstrip("/")
        # A host's proxy is for the world outside.
        self._opener = build_opener(ProxyHandler({}))
        self._headers = {"Content-Type": "application/json"}

    def pinned(self) -> Counter[str]:
        """How many unfinished runs are on each release. Raises `Unavailable`, `BadInput`."""
        runs = self._pages("dags/~/dagRuns", "dag_runs", state=_UNFINISHED, order_by="id")
        return Counter(run["bundle_version"] for run in runs if run.get("bundle_version"))

    def next(self) -> set[str]:
        """Releases that a new run of some DAG would begin with, as long as no newer one is read."""
        dags = self._pages("dags", "dags", order_by="dag_id")
        return {dag["bundle_version"] for dag in dags if dag.get("bundle_version")}

    def _pages(self, path: str, key: str, **query: Any) -> Iterator[Mapping[str, Any]]:
        self._log_in()
        seen = 0
        while True:
            words = urlencode({**query, "limit": PAGE, "offset": seen}, doseq=True)
            answer = self._call(f"/api/v2/{path}?{words}")
            try:
                page, total = list(answer[key]), int(answer["total_entries"])
            except (KeyError, TypeError, ValueError):
                raise Unavailable(f"{self._url} does not answer as Airflow 3 does.") from None
            yield from page
            seen += len(page)
            if seen >= total:
                return
            if not page:
                raise Unavailable(f"{self._url} told of {total} entries and gave {seen}.")

    def _log_in(self) -> None:
        if "Authorization" in self._headers:
            return
        file = self._api.password_file
        try:
            password = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"api.password_file {file} cannot be read: {error}") from None
        answer = self._call("/auth/token", {"username": self._api.user, "password": password})
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not token:
            raise Unavailable(f"{self._url} gave no token for {self._api.user}.")
        self._headers["Authorization"] = f"Bearer {token}"

    def _call(self, path: str, body: Mapping[str, str] | None = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = Request(self._url + path, data, self._headers)  # noqa: S310 (http or https, see above)
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
        except (URLError, HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise Unavailable(f"Airflow at {self._url} does not answer: {reason}") from None
        except ValueError:
            raise Unavailable(f"{self._url} does not answer as Airflow 3 does.") from None
