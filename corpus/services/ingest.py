"""Reads candidates, stores executables as blobs, records their identity."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from corpus.errors import BadInput, NotFound
from corpus.sandbox import Sandbox
from corpus.services.base import Context
from corpus.services.reports import IngestReport
from corpus.services.requests import IngestRequest
from corpus.sources.intake import Intake


def ingest(request: IngestRequest, context: Context) -> IngestReport:
    """Stage samples, rejects, failures and sightings, one part a shard.

    A shard's parts are written when all of it was read, so a run that is killed leaves blobs at
    most, which the next run finds. Raises `PassingFault` on a full disk, `Damaged` where a blob
    that is there already is not what it should be.
    """
    if request.update is None:
        raise BadInput(
            "an update is needed.", field="update", hint="`collect` begins one and prints its id."
        )
    update = context.resume(request.update)
    existing = update.shards()
    shards = sorted(set(request.shards or existing))
    if unknown := sorted(set(shards) - set(existing)):
        raise NotFound(
            f"update {update.id} has no shard {unknown[0]!r}.",
            hint="`collect` names the shards it made.",
            shard=unknown[0],
        )
    settings = context.settings.features
    total = IngestReport(update=update.id, shards=[])
    with Sandbox(
        "corpus.identity:identify",
        jobs=settings.jobs,
        timeout_s=settings.timeout_s,
        memory_bytes=settings.memory_bytes,
        recycle_after=settings.recycle_after,
    ) as sandbox:
        for shard in shards:
            counts = Intake(update, shard, frozenset(request.file_types), context).run(sandbox)
            report = IngestReport(update=update.id, shards=[shard], **asdict(counts))
            update.write_report("ingest", report.model_dump(mode="json"), shard)
            total = _sum(total, report)
    return total


def _sum(total: IngestReport, report: IngestReport) -> IngestReport:
    def added(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
        return dict(sorted((Counter(one) + Counter(other)).items()))

    return IngestReport(
        update=total.update,
        shards=total.shards + report.shards,
        samples=total.samples + report.samples,
        known=total.known + report.known,
        filtered=total.filtered + report.filtered,
        rejects=added(total.rejects, report.rejects),
        unsupported=added(total.unsupported, report.unsupported),
        bytes=total.bytes + report.bytes,
        failures=total.failures + report.failures,
    )
