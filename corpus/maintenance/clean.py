"""Removes what no snapshot and no update under way needs: staging areas, temporary files, blobs.

Never touched are `snapshots/`, data files, indexes and Delta tables. What may belong to an update
under way is kept for a day at least, however short a time was asked for. While blobs are removed no
update goes on: `staging/clean.json` says so. `clean` looks for unfinished updates only after it has
written that, and an update looks for that only after it can be seen itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from corpus.contract.progress import Progress
from corpus.errors import ConflictError, PassingFaultError
from corpus.sources.files import remote_stat
from corpus.store import format as formats
from corpus.store import manifest as manifests
from corpus.store.cleaning import CLEANING, CLEANING_LASTS, being_cleaned, sign_of_cleaning
from corpus.store.ending import end_of
from corpus.store.object_store import TEMPORARY, Store
from corpus.store.schemas import SAMPLES
from corpus.store.snapshots import Parent, Snapshot

Kind = Literal["published", "abandoned", "empty", "remains", "temporary", "blob"]
PATIENCE = timedelta(days=1)
# Where a killed writer may have left a temporary file.
_WRITTEN = ("staging", "blobs", "data", "index", "tables")
_TEMPORARY = re.compile(re.escape(TEMPORARY) + r"\d+-\d+-[0-9a-f]{32}")
_BLOB = re.compile(r"blobs/sha256/../../([0-9a-f]{64})\.zst")
# Blobs removed between two signs of life.
_BATCH = 500


class Removed(BaseModel):
    """One staging area, temporary file or blob: why it goes, and how much it is."""

    key: str
    kind: Kind
    files: int
    bytes: int


class CleanReport(BaseModel):
    model_config = ConfigDict(extra="forbid")

    dry_run: bool = Field(description="Whether nothing was removed.")
    counts: dict[str, int] = Field(
        description="Staging areas of updates that are `published`, `abandoned`, `empty` (begun, and "
        "nothing staged) or `remains` (of one that is no more), `temporary` files, and `blob`s."
    )
    files: int = Field(description="Files that went, or would.")
    bytes: int = Field(description="Size of these files.")
    unfinished: list[str] = Field(description="Updates that were begun and not ended; kept.")
    removed: list[Removed] = Field(description="All that went, or would.")


@dataclass(frozen=True)
class _File:
    key: str
    size: int
    modified: datetime


def clean(
    store: Store,
    older_than: timedelta,
    *,
    blobs: bool = False,
    dry_run: bool = False,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> CleanReport:
    """Remove what was last written longer than `older_than` ago and is no longer needed.

    `blobs` adds blobs that no snapshot, Delta table or staging area refers to. It raises `ConflictError`
    if an update is unfinished: what that one has stored may not be staged yet. Raises `NotFoundError` if
    there is no such root.
    """
    store.require_root()
    formats.check(store)
    moment = now or datetime.now(UTC)
    progress = progress or Progress()
    limit, patient = moment - older_than, moment - max(older_than, PATIENCE)
    alone = _alone(store) if blobs and not dry_run else contextlib.nullcontext(_nothing)
    with alone as sign_of_life:
        areas, unfinished = _areas(store, limit, patient)
        if blobs and unfinished:
            raise ConflictError(
                f"blobs cannot be removed while update {unfinished[0]} is unfinished.",
                hint="Nothing was removed. Finish it, or give it up: "
                f"`corpus abandon {unfinished[0]}`.",
                unfinished=unfinished,
            )
        gone = {area.key for area in areas}
        temporary = _temporary(store, patient, gone)
        if not dry_run:
            for area in areas:
                _remove_area(store, area.key)
            store.delete_files([file.key for file in temporary])
        unreferred = []
        if blobs:
            step = _steps(progress, sign_of_life)
            referred = _referred(store, gone, step)
            unreferred = _unreferred(store, referred, patient, step)
            for start in range(0, 0 if dry_run else len(unreferred), _BATCH):
                step("clean: blobs", start)
                store.delete_files([blob.key for blob in unreferred[start : start + _BATCH]])
    removed = [*areas, *temporary, *unreferred]
    return CleanReport(
        dry_run=dry_run,
        counts=dict(sorted(Counter(entry.kind for entry in removed).items())),
        files=sum(entry.files for entry in removed),
        bytes=sum(entry.bytes for entry in removed),
        unfinished=unfinished,
        removed=removed,
    )


def _files(store: Store, prefix: str) -> list[_File]:
    found = {key: remote_stat(info) for key, info in store.details(prefix).items()}
    # What a storage tells no time of is never old enough.
    return [
        _File(key, stat.size, stat.modified or datetime.max.replace(tzinfo=UTC))
        for key, stat in sorted(found.items())
    ]


# Staging areas


def _areas(store: Store, limit: datetime, patient: datetime) -> tuple[list[Removed], list[str]]:
    """Staging areas to be removed, and the ids of unfinished updates whose areas are not."""
    latest = Snapshot.latest(store)
    areas, unfinished = [], []
    staged = [file for file in _files(store, "staging") if file.key.count("/") > 1]
    for update_id, group in groupby(staged, key=lambda file: file.key.split("/")[1]):
        files = list(group)
        kind = _kind(store, update_id, files, latest)
        touched = max(file.modified for file in files)
        old = touched <= (limit if kind in ("published", "abandoned") else patient)
        if kind and old:
            size = sum(file.size for file in files)
            key = f"staging/{update_id}"
            areas.append(Removed(key=key, kind=kind, files=len(files), bytes=size))
        elif kind in (None, "empty"):
            unfinished.append(update_id)
    return areas, unfinished


def _kind(store: Store, update_id: str, files: Sequence[_File], latest: Parent) -> Kind | None:
    """Return why an area is no longer needed; None if its update can go on."""
    if store.exists(manifests.manifest_key(update_id)):
        # Before `latest.json` knows of it, a publication still has its last step to do.
        published = Snapshot.open(store, update_id)
        return "published" if latest.sequence >= published.sequence else None
    if end_of(store, update_id) == "abandon":
        return "abandoned"
    names = {file.key.split("/", 2)[2] for file in files}
    if "update.json" not in names:
        return "remains"
    # Reports alone are of an update that found nothing new.
    staged = [n for n in names if n != "update.json" and not n.startswith("reports/")]
    return None if staged else "empty"


def _remove_area(store: Store, key: str) -> None:
    # The record goes first: a publication that settles its end later sees that it is no more.
    store.delete_files([f"{key}/update.json"])
    store.delete(key)


# Temporary files


def _temporary(store: Store, limit: datetime, gone: set[str]) -> list[Removed]:
    """What killed writers left. Only folders have such files: object stores write whole or not."""
    found = []
    folders = [store.full(name) for name in _WRITTEN] if store.is_local else []
    for folder in folders:
        for path, _, names in os.walk(folder):
            for name in filter(_TEMPORARY.fullmatch, names):
                key = os.path.join(path, name)[len(store.path) + 1 :]
                with contextlib.suppress(FileNotFoundError):
                    stat = os.stat(store.full(key))
                    old = datetime.fromtimestamp(stat.st_mtime, UTC) <= limit
                    if old and "/".join(key.split("/")[:2]) not in gone:
                        entry = Removed(key=key, kind="temporary", files=1, bytes=stat.st_size)
                        found.append(entry)
    return sorted(found, key=lambda entry: entry.key)


# Blobs


@contextlib.contextmanager
def _alone(store: Store) -> Iterator[Callable[[], None]]:
    """While this lasts no update begins or goes on; gives what is to be called now and then."""
    if not being_cleaned(store):
        # What is there now is of a process that was killed.
        store.delete_files([CLEANING])
    if not store.create_bytes(CLEANING, sign_of_cleaning()):
        raise ConflictError("another `corpus clean --blobs` is at work.", hint="Wait for its end.")
    last = time.monotonic()

    def sign_of_life() -> None:
        nonlocal last
        if time.monotonic() - last > CLEANING_LASTS.total_seconds() / 2:
            raise PassingFaultError(
                "cleaning was held up for so long that updates may have gone on.",
                hint="Blobs that are left go the next time: run it again.",
            )
        store.write_bytes(CLEANING, sign_of_cleaning())
        last = time.monotonic()

    try:
        yield sign_of_life
    finally:
        store.delete_files([CLEANING])


def _nothing() -> None:
    """No sign of life is needed if nothing is removed."""


def _steps(progress: Progress, sign_of_life: Callable[[], None]) -> Callable[[str, int], None]:
    def step(what: str, done: int) -> None:
        progress.step(what, done)
        sign_of_life()

    return step


def _unreferred(
    store: Store, referred: set[bytes], limit: datetime, step: Callable[[str, int], None]
) -> list[Removed]:
    """Blobs of other samples than these."""
    found = []
    for number in range(256):
        step("clean: folders of blobs", number)
        for file in _files(store, f"blobs/sha256/{number:02x}"):
            blob = _BLOB.fullmatch(file.key)
            if blob and file.modified <= limit and bytes.fromhex(blob[1]) not in referred:
                found.append(Removed(key=file.key, kind="blob", files=1, bytes=file.size))
    return found


def _referred(store: Store, gone: set[str], step: Callable[[str, int], None]) -> set[bytes]:
    """The samples of all snapshots, of the Delta table, and of what is staged; 32 bytes each."""
    from deltalake.exceptions import TableNotFoundError

    from corpus.store import delta

    # Areas that are to go count as gone in a dry run too.
    listed = {e["key"] for snapshot in Snapshot.every(store) for e in snapshot.files(SAMPLES.name)}
    staged = {
        key
        for key in store.list("staging")
        if key.split("/")[2:3] == [SAMPLES.name] and "/".join(key.split("/")[:2]) not in gone
    }
    datasets = [store.dataset([key], SAMPLES.schema) for key in sorted(listed | staged)]
    with contextlib.suppress(TableNotFoundError):
        datasets.append(delta.open_table(store, SAMPLES.name).to_pyarrow_dataset())
    referred: set[bytes] = set()
    for dataset in datasets:
        step("clean: samples referred to", len(referred))
        for batch in dataset.to_batches(columns=["sha256"]):
            referred.update(map(bytes.fromhex, batch["sha256"].to_pylist()))
    return referred
