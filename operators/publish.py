"""Publish an update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import Asset
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from operators.base import CorpusOperator, Value
from operators.templates import text
from operators.ui.links import DataCardLink, card_url

# A name rather than an address: where the corpus lives is a setting of the worker, unknown to a DAG.
SNAPSHOTS = Asset(name="corpus_snapshot", uri="corpus://default/snapshots", group="corpus")
MODES = ("publish", "stage", "dry-run")


class PublishSnapshotOperator(CorpusOperator):
    """Publishes a valid update as an immutable snapshot, and tells of it as an asset event.

    The event's extra holds the snapshot's id, sequence, parent, counts and content digest, and the
    address of its data card. If nothing is published the task is skipped, and there is no event.

    :param note: a line for the manifest and the data card: why this update was made.
    :param mode: `publish`; `dry-run` does all checks, says what would be published, and publishes
        nothing; `stage` does nothing, and leaves the update to be published another time.
    :param outlets: assets to tell of the snapshot; `corpus_snapshot` by default. Give another for
        another corpus.
    """

    service = "publish"
    template_fields: Sequence[str] = (
        *CorpusOperator.template_fields,
        *("note", "mode"),
    )
    operator_extra_links = (DataCardLink(),)

    def __init__(
        self,
        *,
        note: str | None = None,
        mode: str = "publish",
        outlets: Sequence[Asset] = (SNAPSHOTS,),
        **kwargs: Any,
    ) -> None:
        super().__init__(outlets=list(outlets), **kwargs)
        self.note = note
        self.mode = mode

    def options(self) -> Mapping[str, Value]:
        return {"note": text(self.note), "dry_run": self.mode == "dry-run"}

    def execute(self, context: Context) -> Any:
        if self.mode not in MODES:
            raise AirflowFailException(f"mode: {self.mode!r} is not one of {', '.join(MODES)}.")
        if self.mode == "stage":
            raise AirflowSkipException("Staged only, as asked for: nothing is published.")
        return super().execute(context)

    def result(self, report: dict[str, Any], context: Context) -> dict[str, Any]:
        if report["dry_run"]:
            raise AirflowSkipException("A dry run: nothing is published.")
        event = {**report, "card": card_url(report["snapshot"])}
        for outlet in self.outlets:
            context["outlet_events"][outlet].extra.update(event)
        return report
