"""What must hold of a corpus when all is over: each sample is there once, and nothing is left over."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deltalake import DeltaTable

from corpus.contract.requests import PublishRequest
from corpus.errors import ConflictError
from corpus.maintenance.abandon import abandon
from corpus.maintenance.clean import clean
from corpus.services.context import Context
from corpus.services.publish.service import publish
from corpus.settings import Settings
from corpus.snapshots.verify import verify
from corpus.store import delta
from corpus.store.blobs import key as blob_key
from corpus.store.object_store import Store
from corpus.store.schemas import FEATURES_PREFIX
from corpus.store.snapshots import Snapshot
from tests.system.soak.left_over import temporaries

# Keyed by the sample; a label may be resolved again later, and of its rows the latest counts.
_ONE_ROW = ("samples", "groups", "splits")
_LOG_FILE = re.compile(r"\d{20}\.json|\d{20}\.checkpoint\.parquet|_last_checkpoint")
# Longer than `clean` keeps what may belong to an update under way.
_LATER = timedelta(days=2)


def settle(store: Store) -> Iterator[str]:
    """End what nobody will finish, as its operator would; gives a line for each update.

    An update that has begun to commit its rows cannot be given up, and is published; any other is given up.
    """
    for update in clean(store, timedelta(0), dry_run=True).unfinished:
        try:
            abandon(store, update)
            yield f"abandoned {update}"
        except ConflictError:
            settings = Settings.load({"store": {"root": store.url}})
            publish(PublishRequest(update=update), Context.from_settings(settings))
            yield f"published {update}"


def tidy(store: Store) -> str:
    """Remove what `clean` removes two days later; returns what that was, in words."""
    report = clean(store, timedelta(0), blobs=True, now=datetime.now(UTC) + _LATER)
    return ", ".join(f"{kind} {count}" for kind, count in report.counts.items()) or "nothing"


def corpus_faults(store: Store, offered: Collection[str]) -> list[str]:
    """What is wrong with a corpus on which no update is under way, and which was tidied.

    :param offered: sha256 of all samples that its sources have ever had.
    """
    snapshots = Snapshot.every(store)
    if not snapshots:
        return ["there is no snapshot"]
    damaged = list(_verified(store, snapshots))
    # Damaged files are not read: it would say no more, and readers may not survive it.
    content = [] if damaged else _content(store, snapshots[-1], offered)
    return [*damaged, *content, *_left_over(store, snapshots)]


def _content(store: Store, latest: Snapshot, offered: Collection[str]) -> Iterator[str]:
    features = [FEATURES_PREFIX + name for name in latest.feature_sets]
    for table in (*_ONE_ROW, *features, "labels"):
        rows = latest.every_row(table, ["sha256"])["sha256"].to_pylist()
        yield from _once(f"table {table}", rows, offered, again=table == "labels")
        found = delta.open_table(store, table).to_pyarrow_table(columns=["sha256"])["sha256"]
        yield from _once(
            f"Delta table {table}", found.to_pylist(), offered, again=table == "labels"
        )
    blobs = set(store.list("blobs"))
    wanted = {blob_key(sha256) for sha256 in offered}
    yield from (f"blob of a sample that was never offered: {key}" for key in blobs - wanted)
    yield from (f"blob that is missing: {key}" for key in wanted - blobs)


def _once(
    where: str, rows: Iterable[str], offered: Collection[str], *, again: bool
) -> Iterator[str]:
    counted = Counter(rows)
    for sha256, count in counted.items():
        if sha256 not in offered:
            yield f"{where} has a sample that was never offered: {sha256}"
        elif count > 1 and not again:
            yield f"{where} has a sample {count} times: {sha256}"
    yield from (f"{where} lacks a sample: {one}" for one in sorted(set(offered) - set(counted)))


def _verified(store: Store, snapshots: list[Snapshot]) -> Iterator[str]:
    for snapshot in snapshots:
        # Samples are hashed once: no snapshot takes one away.
        report = verify(store, snapshot.id, blobs=snapshot is snapshots[-1])
        yield from (f"verify {snapshot.id}: {one.key} {one.problem}" for one in report.findings)


def _left_over(store: Store, snapshots: list[Snapshot]) -> Iterator[str]:
    published = {snapshot.id: snapshot.sequence for snapshot in snapshots}
    yield from (f"staged by nobody: {key}" for key in store.list("staging"))
    for key in store.list("snapshots/log"):
        sequence = int(Path(key).stem)
        if sequence not in published.values():
            yield f"claim without a snapshot: {key}"
    for key in store.list("snapshots"):
        owner = key.split("/")[1]
        if key.count("/") > 1 and owner != "log" and owner not in published:
            yield f"of a snapshot that is none: {key}"
    listed = {
        entry["key"]
        for snapshot in snapshots
        for table in snapshot.tables
        for entry in snapshot.files(table)
    }
    yield from (f"data that no snapshot lists: {key}" for key in set(store.list("data")) - listed)
    for table in sorted({key.split("/")[1] for key in store.list("tables")}):
        yield from _of_table(store, table)
    yield from temporaries(Path(store.path))


def _of_table(store: Store, table: str) -> Iterator[str]:
    folder = delta.table_path(table)
    opened: DeltaTable = delta.open_table(store, table)
    active = {Path(uri).name for uri in opened.file_uris()}
    for key in store.list(folder):
        name = Path(key).name
        known = _LOG_FILE.fullmatch(name) if "/_delta_log/" in key else name in active
        if not known:
            yield f"of no commit: {key}"
