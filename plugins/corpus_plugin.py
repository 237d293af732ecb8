"""Registers what the corpus adds to Airflow; the code is in the package `operators`."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from corpus.contract.run_identity import run_uuid
from operators.scheduling import listener, overdue, starts
from operators.scheduling.deadlines import RunQueued
from operators.ui import web
from operators.ui.base_path import BasePath
from operators.ui.links import URL_PREFIX, DataCardLink
from operators.ui.token_limit import TokenLimit


class CorpusPlugin(AirflowPlugin):
    """`{{ macros.corpus.run_uuid(dag.dag_id, run_id) }}`, log lines with run_uuid, notes, data cards.

    The web server also answers without the path of base_url, and bears no guessing of passwords.
    """

    name = "corpus"
    macros: ClassVar[list[Any]] = [run_uuid]
    listeners: ClassVar[list[Any]] = [listener, overdue, starts]
    operator_extra_links: ClassVar[list[Any]] = [DataCardLink()]
    deadline_references: ClassVar[list[Any]] = [RunQueued]
    fastapi_apps: ClassVar[list[Any]] = [
        {"name": "Corpus data cards", "app": web.app, "url_prefix": URL_PREFIX}
    ]
    fastapi_root_middlewares: ClassVar[list[Any]] = [
        # The last one is asked first: the limit sees each path as the web server does.
        {"name": "Corpus token limit", "middleware": TokenLimit},
        {"name": "Corpus base path", "middleware": BasePath},
    ]
