"""How every service is run as a task; a subclass adds the arguments of its own."""

from __future__ import annotations

import json
import shlex
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.context import Context

import corpus.contract.run_identity
from corpus.errors import BadInputError, CorpusError
from operators.runners.command import Call, Value
from operators.runners.identity import run_identity, task_try
from operators.runners.runner import Runner, get_runner
from operators.templates import text

__all__ = ["DEFAULT_ARGS", "REPORT_KEY", "CorpusOperator", "Value"]

# The whole report of a task; most tasks also return it.
REPORT_KEY = "report"
# What all tasks of the bundle's DAGs begin with.
DEFAULT_ARGS: Mapping[str, Any] = {
    "owner": "corpus",
    "retries": 3,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=15),
    "execution_timeout": timedelta(hours=6),
}


class CorpusOperator(BaseOperator):
    """Runs one service of the corpus, and returns its report.

    Where the corpus lives, its secrets and its policies come from the worker's settings (corpus.toml
    and environment), never from the DAG.

    :param update_id: the update to work in; by default that of the DAG run, the same for all tasks.
    :param settings: settings that this run overrides, as `{"section.key": value}`; empty values
        leave the configured ones. No secrets: these are shown in the UI.
    :param root: another corpus than the configured one: a folder or an fsspec URL.
    """

    service: ClassVar[str]
    template_fields: Sequence[str] = ("update_id", "settings", "root")
    ui_color = "#e8f0f7"

    def __init__(
        self,
        *,
        update_id: str | None = None,
        settings: Mapping[str, Any] | None = None,
        root: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.update_id = update_id
        self.settings = settings
        self.root = root
        self.report: dict[str, Any] | None = None
        self._runner: Runner | None = None
        self._stopped = False

    @abstractmethod
    def options(self) -> Mapping[str, Value]:
        """The service's options as rendered, named as the fields of its request."""

    def overrides(self) -> Mapping[str, Any]:
        """Settings to override, as rendered."""
        return self.settings or {}

    def result(self, report: dict[str, Any], context: Context) -> Any:
        """What the task returns; the report itself unless a subclass knows better."""
        return report

    def execute(self, context: Context) -> Any:
        # Not at the top: what parses a DAG needs neither.
        from operators.runners.result import as_airflow, read_report
        from operators.runners.result_folder import result_folder
        from operators.settings import WorkerSettings

        identity = run_identity(context)
        try:
            update = text(self.update_id) or corpus.contract.run_identity.update_id(
                context["dag_run"].run_after, identity["run_uuid"]
            )
            call = self.call({"update": update, **self.options()}, identity)
            workers = WorkerSettings.load()
            self._runner = get_runner(workers, task_try(context, workers.docker.host))
            # A signal may have come before there was anything to stop.
            if self._stopped:
                self._runner.stop()
            self.log.info("corpus %s", shlex.join(call.arguments()))
            with result_folder() as folder:
                file = folder / "result.json"
                status = self._runner.run(call, result=file, on_line=self.log.info)
                if self._stopped:
                    self.log.info("%s was stopped.", self.service)
                self.report = read_report(self.service, status, file)
        except CorpusError as error:
            raise as_airflow(error) from None
        context["ti"].xcom_push(key=REPORT_KEY, value=self.report)
        return self.result(self.report, context)

    def call(self, options: Mapping[str, Value], identity: Mapping[str, Any]) -> Call:
        overrides = {name: _setting(value) for name, value in self.overrides().items()}
        return Call(
            self.service,
            options,
            root=text(self.root),
            overrides={name: value for name, value in overrides.items() if value is not None},
            identity=identity,
        )

    def on_kill(self) -> None:
        # It is called in a signal handler, and a log is locked while a line is written to it: who
        # writes here, in the middle of another line, waits for ever.
        self._stopped = True
        if self._runner:
            self._runner.stop()


def _setting(value: Any) -> str | None:
    """A setting as `--set` reads it: JSON, or text that is not JSON; None if there is no value."""
    if isinstance(value, str):
        return None if value.strip() in ("", "None", "null", "[]") else value.strip()
    if value is None or value == [] or value == ():
        return None
    try:
        return json.dumps(value)
    except TypeError:
        raise BadInputError(f"{value!r} is not a value for a setting.", field="settings") from None
