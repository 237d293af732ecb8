"""Makes a workspace: the trusted step before a sandbox's."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field

from corpus.contract.progress import Progress
from corpus.contract.requests import ExtractRequest, IngestRequest
from corpus.errors import BadInputError, NotFoundError
from corpus.features import FeatureSet
from corpus.isolation.allowed import part_key
from corpus.isolation.copying import copy, copy_source
from corpus.services.context import Context
from corpus.services.extract import service as extract
from corpus.services.extract.shard_vectors import ShardVectors, failures_part
from corpus.services.ingest import service as ingest
from corpus.services.inputs.layout import FOLDER, SOURCES, TASK, pending_key, source_key
from corpus.sources.candidate import Candidate
from corpus.store import blobs
from corpus.store import format as formats
from corpus.store.faults import passing_faults
from corpus.store.object_store import Store
from corpus.store.private import make_folder
from corpus.store.schemas import CANDIDATES, FEATURES_PREFIX
from corpus.store.staging import Update
from corpus.store.update_record import UpdateRecord, record_key

# A copy waits for the storage more than for the processor.
_COPIES = 4
T = TypeVar("T")
R = TypeVar("R")


class StageInReport(BaseModel):
    """What is in a workspace."""

    service: str = Field(description="The service that the workspace is for.")
    update: str = Field(description="Id of the update.")
    shards: list[str] = Field(description="Shards in the workspace.")
    files: int = Field(description="Source files, or samples, that were copied.")
    bytes: int = Field(description="How many bytes of these were copied.")


def stage_in(
    request: IngestRequest | ExtractRequest, context: Context, folder: Path
) -> StageInReport:
    """Make `folder` a workspace in which the service that the request is for has all it needs.

    The folder may be absent, empty, or a workspace, which is replaced. Raises what the service raises
    for an update, a shard or a feature set that is not there, `BadInputError` for any other folder, and
    `PassingFaultError` if the disk is full.
    """
    update = context.resume(request)
    if isinstance(request, IngestRequest):
        service = "ingest"
        shards = ingest.shards_of(update, request.shards, context.inputs)
        made = _new(folder, update)
        sizes = _copy_sources(update, shards, made, context)
    else:
        service = "extract"
        shards = extract.shards_of(update, request.shards, context.inputs)
        sets = {s.name: s for s in extract.sets_of(request, context)}
        made = _new(folder, update)
        sizes = _copy_samples(update, shards, sets, made, context)
    made.write_json(TASK, {"service": service, "update": update.id})
    return StageInReport(
        service=service,
        update=update.id,
        shards=shards,
        files=len(sizes),
        bytes=sum(sizes),
    )


def _new(folder: Path, update: Update) -> Store:
    """Make a workspace with nothing but the update's identity in it."""
    mark = folder / FOLDER
    try:
        with passing_faults(str(folder)):
            make_folder(folder)
            there = list(folder.iterdir())
            if there and mark not in there:
                raise BadInputError("is neither empty nor a workspace.", file=str(folder))
            # The mark is removed last, so that this may be killed and tried again.
            for entry in sorted(there, key=lambda entry: entry == mark):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
            make_folder(mark)
    except OSError as error:
        raise BadInputError(f"cannot be made a workspace: {error}.", file=str(folder)) from error
    made = Store(folder).fleeting()
    record: UpdateRecord = {
        "id": update.id,
        "parent": None,
        "began_at": update.record["began_at"],
        "run": {},
        "sequence": update.sequence,
    }
    formats.begin(made)
    made.write_json(record_key(update.id), record)
    return made


def _copy_sources(
    update: Update, shards: Sequence[str], made: Store, context: Context
) -> list[int]:
    """Copy the candidates of the shards, and the files that they name; return the sizes of these."""
    # By location: whether a digest of the whole file is asked for.
    expected: dict[str, bool] = {}
    for shard in shards:
        _copy_part(update, made, CANDIDATES.name, shard)
        for row in update.read(CANDIDATES.name, part=shard).to_pylist():
            if row["known_sha256"] is None:
                location = Candidate.of(row).location
                expected[location] = expected.get(location, False) or bool(row["expected_sha256"])
    files = context.files(update)
    limit = context.settings.sources.max_file_bytes
    numbers = {location: number for number, location in enumerate(expected)}

    def one(location: str) -> tuple[dict[str, object], int]:
        key = source_key(numbers[location])
        found, size = copy_source(files, location, made, key, None if expected[location] else limit)
        return {"copy": numbers[location], **found}, size

    copied = _each(one, list(expected), context.progress)
    found = [found for found, _ in copied]
    made.write_json(SOURCES, dict(zip(expected, found, strict=True)))
    return [size for found, size in copied if "error" not in found]


def _copy_samples(
    update: Update,
    shards: Sequence[str],
    sets: Mapping[str, FeatureSet],
    made: Store,
    context: Context,
) -> list[int]:
    """Copy what a previous attempt has staged of the shards, and the samples that still lack a vector.

    Return the sizes of the samples, in bytes, as they are stored.
    """
    lacking: set[str] = set()
    for shard in shards:
        pending = context.inputs.pending(update, list(sets), shard)
        made.write_json(pending_key(shard), {"feature_sets": list(sets), "samples": pending})
        kept = ShardVectors(dict(sets), update, shard, pending).kept
        lacking |= {s for s, names in pending.items() if any(s not in kept[n] for n in names)}
        for name in sets:
            _copy_part(update, made, FEATURES_PREFIX + name, shard)
            _copy_part(update, made, "failures", failures_part(name, shard))

    def one(sha256: str) -> int | None:
        key = blobs.key(sha256)
        try:
            stream = update.store.open(key)
        except NotFoundError:
            # The service finds out: it costs one failure, not the shard.
            return None
        with stream:
            return copy(stream, made, key)

    return [size for size in _each(one, sorted(lacking), context.progress) if size is not None]


def _copy_part(update: Update, made: Store, table: str, part: str) -> None:
    if update.has(table, part):
        key = part_key(update, table, part)
        made.write_bytes(key, update.store.read_bytes(key))


def _each(copy_one: Callable[[T], R], items: Sequence[T], progress: Progress) -> list[R]:
    """Copy several items at a time; return what copying each gave, in their order."""
    done: list[R] = []
    with ThreadPoolExecutor(_COPIES) as pool:
        try:
            for result in pool.map(copy_one, items):
                done.append(result)
                progress.step("files copied", len(done), len(items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return done
