"""Reads candidates, stores executables as blobs, records their identity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import reduce

from corpus.contract.reports import IngestReport
from corpus.contract.requests import IngestRequest
from corpus.errors import NotFoundError
from corpus.sandbox import Sandbox
from corpus.services.context import Context
from corpus.services.ingest.rows import Counts
from corpus.services.ingest.shard import Intake
from corpus.services.inputs.base import Inputs
from corpus.store.staging import Update


def ingest(request: IngestRequest, context: Context) -> IngestReport:
    """Stage samples, rejects, failures and seen files, one part a shard.

    A shard's parts are written when all of it was read, so a run that is killed leaves blobs at
    most, which the next run finds. Raises `PassingFaultError` on a full disk, `DamagedError` if a blob
    that is there already is not what it should be.
    """
    update = context.resume(request)
    shards = shards_of(update, request.shards, context.inputs)
    settings = context.settings.features
    reports = []
    with Sandbox(
        "corpus.services.ingest.identity:identify",
        jobs=settings.jobs,
        timeout_s=settings.timeout_s,
        memory_bytes=settings.memory_bytes,
        recycle_after=settings.recycle_after,
    ) as sandbox:
        for shard in shards:
            counts = Intake(update, shard, frozenset(request.file_types), context).run(sandbox)
            reports.append(reported(update, shard, counts))
    return total(update, reports)


def shards_of(update: Update, asked: Sequence[str], inputs: Inputs) -> list[str]:
    """Return the shards that are asked for, all of the update by default. Raises `NotFoundError`."""
    existing = inputs.shards_to_ingest(update)
    shards = sorted(set(asked or existing))
    if unknown := sorted(set(shards) - set(existing)):
        raise NotFoundError(
            f"update {update.id} has no shard {unknown[0]!r}.",
            hint="`collect` names the shards it made.",
            shard=unknown[0],
        )
    return shards


def reported(update: Update, shard: str, counts: Counts) -> IngestReport:
    """Leave the report of a staged shard with the update; return it."""
    report = IngestReport(update=update.id, shards=[shard], **asdict(counts))
    update.write_report("ingest", report.model_dump(mode="json"), shard)
    return report


def total(update: Update, reports: Sequence[IngestReport]) -> IngestReport:
    """Return the report of several shards together."""
    return reduce(_sum, reports, IngestReport(update=update.id, shards=[]))


def _sum(one: IngestReport, other: IngestReport) -> IngestReport:
    def added(name: str) -> dict[str, int]:
        return dict(sorted((Counter(getattr(one, name)) + Counter(getattr(other, name))).items()))

    return IngestReport(
        update=one.update,
        shards=one.shards + other.shards,
        samples=one.samples + other.samples,
        known=one.known + other.known,
        filtered=one.filtered + other.filtered,
        rejects=added("rejects"),
        unsupported=added("unsupported"),
        bytes=one.bytes + other.bytes,
        failures=one.failures + other.failures,
    )
