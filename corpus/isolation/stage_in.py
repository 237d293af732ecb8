"""Makes a slice: the trusted step before a sandbox's."""

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
from corpus.services.extract.pending import needed, wanted_key
from corpus.services.extract.shard_vectors import ShardVectors, failures_part
from corpus.services.ingest import service as ingest
from corpus.sources.candidate import Candidate
from corpus.sources.copied_files import MARK, SOURCES, source_key
from corpus.sources.files import Files
from corpus.store import blobs
from corpus.store import format as formats
from corpus.store.object_store import Store, passing_faults
from corpus.store.schemas import CANDIDATES, FEATURES_PREFIX
from corpus.store.staging import Update, record_key

# A copy waits for the storage more than for the processor.
_COPIES = 4
T = TypeVar("T")
R = TypeVar("R")


class TakeReport(BaseModel):
    """What is in a slice."""

    service: str = Field(description="The service that the slice is for.")
    update: str = Field(description="Id of the update.")
    shards: list[str] = Field(description="Shards in the slice.")
    files: int = Field(description="Source files, or samples, that were copied.")
    bytes: int = Field(description="How many bytes of these were copied.")


def take(request: IngestRequest | ExtractRequest, context: Context, folder: Path) -> TakeReport:
    """Make `folder` a slice in which the service that the request is for has all it needs.

    The folder may be absent, empty, or a slice, which is replaced. Raises what the service does for
    an update, a shard or a feature set that is not there, `BadInputError` for another folder, and
    `PassingFaultError` where the disk is full.
    """
    if request.update is None:
        raise BadInputError("an update is needed.", field="update")
    update = context.resume(request.update)
    if isinstance(request, IngestRequest):
        shards = ingest.shards_of(update, request.shards)
        sizes = _take_sources(update, shards, _new(folder, update), context)
    else:
        shards = extract.shards_of(update, request.shards)
        sets = {s.name: s for s in extract.sets_of(request, context)}
        sizes = _take_samples(update, shards, sets, _new(folder, update), context.progress)
    return TakeReport(
        service="ingest" if isinstance(request, IngestRequest) else "extract",
        update=update.id,
        shards=shards,
        files=len(sizes),
        bytes=sum(sizes),
    )


def _new(folder: Path, update: Update) -> Store:
    """A slice with nothing but the update's identity in it."""
    mark = folder / MARK
    try:
        with passing_faults(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
            there = list(folder.iterdir())
            if there and mark not in there:
                raise BadInputError("is not empty, and no slice.", file=str(folder))
            # The mark goes last, so that this may be killed and tried again.
            for entry in sorted(there, key=lambda entry: entry == mark):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
            mark.mkdir()
    except OSError as error:
        raise BadInputError(f"cannot be made a slice: {error}.", file=str(folder)) from error
    made = Store(folder).fleeting()
    record = {"id": update.id, "base": None, "slice": {"sequence": update.sequence}}
    formats.begin(made)
    made.write_json(record_key(update.id), record)
    return made


def _take_sources(
    update: Update, shards: Sequence[str], made: Store, context: Context
) -> list[int]:
    """Copy the candidates of the shards, and the files that they name; gives the sizes of these."""
    # By location, and whether a file's whole digest is asked for.
    expected: dict[str, bool] = {}
    for shard in shards:
        _copy_part(update, made, CANDIDATES.name, shard)
        for row in update.read(CANDIDATES.name, part=shard).to_pylist():
            if row["known_sha256"] is None:
                location = Candidate.of(row).location
                expected[location] = expected.get(location, False) or bool(row["expected_sha256"])
    files = Files.beside(update.store)
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


def _take_samples(
    update: Update,
    shards: Sequence[str],
    sets: Mapping[str, FeatureSet],
    made: Store,
    progress: Progress,
) -> list[int]:
    """Copy what a former attempt has staged of the shards, and the samples that lack a vector then."""
    lacking: set[str] = set()
    for shard in shards:
        wanted = needed(update, list(sets), shard)
        made.write_json(wanted_key(shard), {"feature_sets": list(sets), "samples": wanted})
        kept = ShardVectors(dict(sets), update, shard, wanted).kept
        lacking |= {s for s, names in wanted.items() if any(s not in kept[n] for n in names)}
        for name in sets:
            _copy_part(update, made, FEATURES_PREFIX + name, shard)
            _copy_part(update, made, "failures", failures_part(name, shard))

    def one(sha256: str) -> int | None:
        key = blobs.key(sha256)
        try:
            stream = update.store.open(key)
        except NotFoundError:
            # For the service to find: it costs a failure, not the shard.
            return None
        with stream:
            return copy(stream, made, key)

    return [size for size in _each(one, sorted(lacking), progress) if size is not None]


def _copy_part(update: Update, made: Store, table: str, part: str) -> None:
    if update.has(table, part):
        key = part_key(update, table, part)
        made.write_bytes(key, update.store.read_bytes(key))


def _each(copy_one: Callable[[T], R], items: Sequence[T], progress: Progress) -> list[R]:
    """What copying each gives, in their order; several are copied at a time."""
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
