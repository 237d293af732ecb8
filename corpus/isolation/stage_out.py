"""Brings what a service staged in a workspace into the corpus: the trusted step after a sandbox's.

Nothing in the folder is believed. What a row may say, and which rows there must be, follows from the
corpus itself; all of it is checked before the first byte is stored. Then the same code writes the same
values as if the service had run in the whole corpus.
"""

from __future__ import annotations

from pathlib import Path

from corpus.contract.reports import ExtractReport, IngestReport
from corpus.contract.requests import ExtractRequest, IngestRequest
from corpus.isolation import allowed
from corpus.isolation import extract as extracted
from corpus.isolation.ingest import Ingested
from corpus.isolation.parquet import Decoder, sandbox
from corpus.isolation.untrusted_folder import UntrustedFolder
from corpus.services.context import Context
from corpus.services.extract import service as extract
from corpus.services.ingest import service as ingest
from corpus.store.staging import Update


def stage_out(
    request: IngestRequest | ExtractRequest, context: Context, folder: Path
) -> IngestReport | ExtractReport:
    """Stage in the corpus what the service has staged in the workspace at `folder`; return its report.

    The request is the one that the workspace was staged in for. This may be repeated, also after it was
    killed. Raises `BadInputError`, naming file, row and field, for whatever the service does not make;
    nothing is staged then, and checked blobs at most are left, as of a service that was killed. Raises
    what the service raises for an update, a shard or a feature set that is not there, for a damaged blob
    and for a full disk.
    """
    update = context.resume(request)
    with UntrustedFolder(folder) as untrusted, sandbox() as box:
        decoder = Decoder(update, box)
        if isinstance(request, IngestRequest):
            return _ingested(request, context, update, untrusted, decoder)
        return _extracted(request, context, update, untrusted, decoder)


def _ingested(
    request: IngestRequest,
    context: Context,
    update: Update,
    folder: UntrustedFolder,
    decoder: Decoder,
) -> IngestReport:
    shards = ingest.shards_of(update, request.shards, context.inputs)
    folder.require(allowed.of_ingest(update, shards))
    readers = {shard: Ingested(folder, update, shard, context) for shard in shards}
    found = {s: reader.read(decoder, request.file_types) for s, reader in readers.items()}
    rows = {shard: reader.bring(found[shard]) for shard, reader in readers.items()}
    reports = [ingest.reported(update, shard, rows[shard].stage(update, shard)) for shard in shards]
    return ingest.total(update, reports)


def _extracted(
    request: ExtractRequest,
    context: Context,
    update: Update,
    folder: UntrustedFolder,
    decoder: Decoder,
) -> ExtractReport:
    sets = {feature_set.name: feature_set for feature_set in extract.sets_of(request, context)}
    shards = extract.shards_of(update, request.shards, context.inputs)
    folder.require(allowed.of_extract(update, shards, sets))
    staged = [
        extracted.read(folder, update, shard, sets, context.inputs, decoder) for shard in shards
    ]
    reports = [extract.stage(update, vectors) for vectors in staged]
    return extract.total(update, list(sets.values()), reports)
