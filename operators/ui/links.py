"""Links from a task in the UI to what it made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

URL_PREFIX = "/corpus"


def card_url(snapshot: str) -> str:
    """Path of a snapshot's data card on the web server of Airflow."""
    base = urlsplit(conf.get("api", "base_url", fallback="/")).path.rstrip("/")
    return f"{base}{URL_PREFIX}/cards/{quote(snapshot, safe='')}/"


class DataCardLink(BaseOperatorLink):
    """The data card of the snapshot that a task has published."""

    name = "Data card"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        # Airflow asks in the process that ran the task, and keeps the answer.
        report: dict[str, Any] | None = getattr(operator, "report", None)
        return card_url(report["snapshot"]) if report and not report["dry_run"] else ""
