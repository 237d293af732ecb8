"""Stages out an ingest.

Every row is held against the candidate it says it came from, every blob against its name and its row.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TypeVar

from backports import zstd
from pydantic import ValidationError

from corpus.contract.reports import IngestReport
from corpus.isolation.allowed import part_key, report_key
from corpus.isolation.origins import Origins
from corpus.isolation.parquet import MAX_BYTES, Decoder
from corpus.isolation.rows import FailureRow, RejectRow, Row, SampleRow, SightingRow
from corpus.isolation.untrusted_folder import UntrustedFolder, refused
from corpus.services.context import Context
from corpus.services.ingest.rows import ShardRows
from corpus.services.ingest.shard import LARGE, PASSING, WRITERS
from corpus.sources import filetype
from corpus.store import blobs
from corpus.store.schemas import TABLES
from corpus.store.staging import Update

R = TypeVar("R", bound=Row)
_MAX_REPORT = 1 << 20
# Of a blob, beyond what it holds: what zstd may add to content that cannot be compressed.
_OVERHEAD = 1 << 16


@dataclass(frozen=True)
class IngestedRows:
    """What an untrusted folder says of a shard, as far as rows alone can be checked."""

    samples: list[SampleRow]
    rejects: list[RejectRow]
    failures: list[FailureRow]
    sightings: list[SightingRow]
    filtered: int


class Ingested:
    """Reads one shard of an untrusted folder, then stores it. Raises `BadInputError` for what no ingest makes."""

    def __init__(self, folder: UntrustedFolder, update: Update, shard: str, context: Context):
        self._folder = folder
        self._update = update
        self._shard = shard
        self._context = context
        self._origins = Origins(update, shard)

    def read(self, decoder: Decoder, file_types: Sequence[str]) -> IngestedRows:
        """Read and check the rows of the shard; nothing is written."""
        rows = IngestedRows(
            self._rows("samples", SampleRow, decoder),
            self._rows("rejects", RejectRow, decoder),
            self._rows("failures", FailureRow, decoder),
            self._rows("sightings", SightingRow, decoder),
            self._filtered(),
        )
        self._check_samples(rows.samples, file_types)
        self._check_failures(rows)
        self._check_files(rows)
        return rows

    def bring(self, rows: IngestedRows) -> ShardRows:
        """Store the blobs of the samples that are new; return the rows that are to be staged."""
        known = self._known([row.sha256 for row in rows.samples])
        stored = dict(self._stored(rows.samples, known))
        new = sorted((r for r in rows.samples if r.sha256 not in known), key=lambda r: r.sha256)
        return ShardRows(
            # The blobs' digests and sizes are those of what is stored here.
            samples=[{**row.model_dump(), **asdict(stored[row.sha256])} for row in new],
            rejects=[row.model_dump() for row in rows.rejects],
            failures=[
                row.model_dump()
                for row in sorted(rows.failures, key=lambda r: r.sha256)
                if row.sha256 not in known
            ],
            sightings=[
                row.model_dump() for row in sorted(rows.sightings, key=lambda r: r.location)
            ],
            known=len(known),
            filtered=rows.filtered,
        )

    # Rows

    def _key(self, table: str) -> str:
        return part_key(self._update, table, self._shard)

    def _rows(self, table: str, model: type[R], decoder: Decoder) -> list[R]:
        key = self._key(table)
        data = self._folder.read(key, MAX_BYTES)
        if data is None:
            raise refused(key, "is missing.")
        return decoder.rows(key, data, TABLES[table], model)

    def _filtered(self) -> int:
        key = report_key(self._update, "ingest", self._shard)
        data = self._folder.read(key, _MAX_REPORT)
        if data is None:
            raise refused(key, "is missing.")
        try:
            report = IngestReport.model_validate(json.loads(data))
        except (ValidationError, ValueError, RecursionError) as error:
            raise refused(key, "is not a report of an ingest.") from error
        if not 0 <= report.filtered < 2**31:
            raise refused(key, f"{report.filtered} is not a number of files.", field="filtered")
        return report.filtered

    def _check_samples(self, rows: Sequence[SampleRow], file_types: Sequence[str]) -> None:
        key = self._key("samples")
        seen: set[str] = set()
        limit = self._context.settings.sources.max_file_bytes
        for number, row in enumerate(rows, 1):
            if row.sha256 in seen:
                raise refused(key, f"{row.sha256} is there twice.", number, "sha256")
            seen.add(row.sha256)
            if row.file_type not in file_types:
                raise refused(key, f"{row.file_type!r} was not asked for.", number, "file_type")
            if row.size > limit:
                raise refused(key, f"is more than {limit} bytes.", number, "size")
            if self._origins.of_sample(row) is None:
                raise refused(key, "says what no candidate does.", number, "location")

    def _check_failures(self, rows: IngestedRows) -> None:
        key, left = self._key("failures"), {row.sha256 for row in rows.samples}
        for number, row in enumerate(rows.failures, 1):
            if row.sha256 not in left:
                raise refused(key, "is of no sample of the shard.", number, "sha256")
            left.remove(row.sha256)
            if (row.service, row.feature_set) != ("ingest", ""):
                raise refused(key, "is of another service.", number, "service")

    def _check_files(self, rows: IngestedRows) -> None:
        unfinished = set()
        key = self._key("rejects")
        for number, reject in enumerate(rows.rejects, 1):
            candidate = self._origins.of_reject(reject)
            if candidate is None:
                raise refused(key, "says what no candidate does.", number, "location")
            if reject.reason == "unsupported" and reject.file_type is None:
                raise refused(key, "is missing.", number, "file_type")
            if reject.reason in PASSING:
                unfinished.add(candidate.location)
        key = self._key("sightings")
        seen: set[str] = set()
        for number, sighting in enumerate(rows.sightings, 1):
            location = sighting.location
            if self._origins.of_sighting(sighting) is None or location in seen | unfinished:
                raise refused(key, "says what no candidate does.", number, "location")
            seen.add(location)

    # Blobs

    def _known(self, sha256s: Sequence[str]) -> set[str]:
        rows = self._update.parent.scan("samples", ["sha256"], keys=sorted(sha256s))
        return set(rows["sha256"].to_pylist())

    def _stored(
        self, rows: Sequence[SampleRow], known: set[str]
    ) -> Iterator[tuple[str, blobs.BlobRecord]]:
        """Store the blobs of the rows and say what was stored; a known sample's only if it was lost."""
        writes: deque[Future[blobs.BlobRecord | None]] = deque()
        with _writers() as pool:
            for number, row in enumerate(rows, 1):
                self._context.progress.step(f"{self._shard}: samples stored", number, len(rows))
                writes.append(pool.submit(self._store, number, row, row.sha256 in known))
                # As in an ingest: the disk is waited for, and few large ones are in memory.
                while len(writes) > (0 if row.size > LARGE else WRITERS):
                    if blob := writes.popleft().result():
                        yield blob.sha256, blob
            for write in writes:
                if blob := write.result():
                    yield blob.sha256, blob

    def _store(self, number: int, row: SampleRow, known: bool) -> blobs.BlobRecord | None:
        if known and self._update.store.exists(blobs.key(row.sha256)):
            return None
        data = self._content(row)
        found = {
            "size": len(data),
            "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            "file_type": filetype.of(data),
            "arch": filetype.arch(data),
        }
        for field, value in found.items():
            if getattr(row, field) != value:
                raise refused(self._key("samples"), f"the sample has {value!r}.", number, field)
        # Compressed again here: what is stored is what this corpus would have made of it.
        return blobs.put(self._update.store, row.sha256, data)

    def _content(self, row: SampleRow) -> bytes:
        key = blobs.key(row.sha256)
        packed = self._folder.read(key, row.size + (row.size >> 8) + _OVERHEAD)
        if packed is None:
            raise refused(key, "is missing.")
        try:
            data = blobs.unpack(packed, row.size)
        except zstd.ZstdError as error:
            raise refused(key, f"{error}.") from error
        if (digest := hashlib.sha256(data).hexdigest()) != row.sha256:
            raise refused(key, f"its content has the digest {digest}.")
        return data


@contextmanager
def _writers() -> Iterator[ThreadPoolExecutor]:
    """Threads that drop what they have not begun if something is wrong."""
    pool = ThreadPoolExecutor(WRITERS)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
