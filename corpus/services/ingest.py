"""Reads candidates, stores executables as blobs, records their identity."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Literal

from pydantic import Field

from corpus.errors import BadInput, NotFound
from corpus.sandbox import Sandbox
from corpus.services.base import Context, Report, Request
from corpus.sources.intake import Intake

FileType = Literal["pe", "elf"]
_FILE_TYPES: tuple[FileType, ...] = ("pe", "elf")


class IngestRequest(Request):
    """Read the files of an update's shards, open archives, and store each executable as a blob.

    Executables are found by content. What is no executable, or cannot be read, becomes a reject with
    its reason; a file on which the identification crashes costs one row of failures.
    """

    shards: list[str] = Field(
        default_factory=list, description="Shard to read; all of the update where left out."
    )
    file_types: list[FileType] = Field(
        default_factory=lambda: list(_FILE_TYPES),
        description="Type of executables to take; files with others are left for another update.",
    )


class IngestReport(Report):
    shards: list[str] = Field(description="Names of the shards read.")
    samples: int = Field(0, description="New samples.")
    known: int = Field(0, description="Samples found that the latest snapshot has already.")
    filtered: int = Field(0, description="Executables of other types than those asked for.")
    rejects: dict[str, int] = Field(default_factory=dict, description="Files by reason.")
    unsupported: dict[str, int] = Field(
        default_factory=dict, description="Files that are no executables, by type."
    )
    bytes: int = Field(0, description="Size of the new samples, uncompressed.")
    failures: int = Field(0, description="New samples whose identification failed.")


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
