"""Append Parquet files that we wrote to Delta tables, once for each update.

The app transaction of a commit is the update's id, so an append that is done again is recognised
and left out. The rows get into the table as the file they were written to: a commit costs the same
for ten rows and for ten million.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from corpus.errors import NotFoundError
from corpus.store.object_store import Store, WrittenFile, sync_folder
from corpus.store.private import make_folder

_ATTEMPTS = 9
_UPDATE = "corpus.update"
_Result = TypeVar("_Result")

# fsspec's names for what object stores call otherwise.
_S3_NAMES = {
    "key": "AWS_ACCESS_KEY_ID",
    "secret": "AWS_SECRET_ACCESS_KEY",
    "token": "AWS_SESSION_TOKEN",
    "endpoint_url": "AWS_ENDPOINT_URL",
}


def table_path(table: str) -> str:
    """Return the key of the folder of a Delta table."""
    return f"tables/{table}"


def storage_options(store: Store) -> dict[str, str]:
    """What deltalake needs to reach an S3 root; from the store's options, else from AWS_*."""
    if store.is_local or not store.url.startswith("s3"):
        return {}
    nested = store.options.get("client_kwargs", {})
    given = {
        **{name: store.options.get(name, nested.get(name)) for name in _S3_NAMES},
        "region_name": nested.get("region_name"),
    }
    options = {
        _S3_NAMES.get(name, "AWS_REGION"): str(value) for name, value in given.items() if value
    }
    endpoint = options.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT_URL", "")
    if endpoint.startswith("http://"):
        options["AWS_ALLOW_HTTP"] = "true"
    # Commits are PUTs with If-None-Match, so concurrent writers need no lock service.
    options.setdefault("AWS_CONDITIONAL_PUT", "etag")
    if "AWS_REGION" not in os.environ and "AWS_DEFAULT_REGION" not in os.environ:
        options.setdefault("AWS_REGION", "us-east-1")
    return options


def open_table(store: Store, table: str) -> DeltaTable:
    """A Delta table of the corpus, for tools that read Delta; snapshots do without."""
    return DeltaTable(_uri(store, table), storage_options=storage_options(store))


def append(
    store: Store,
    table: str,
    schema: pa.Schema,
    files: Sequence[WrittenFile],
    update_id: str,
    run_uuid: str | None = None,
) -> int:
    """Copy files into a table and add them in one commit; returns the version that it made.

    Does nothing if the table already has a commit of this update. Appends of several writers at
    once all survive. The commit's metadata name the update and its run.
    """
    said = {_UPDATE: update_id, **({"run_uuid": run_uuid} if run_uuid else {})}
    delta = _patiently(lambda: _create(store, table, schema))
    if delta.transaction_version(update_id) is None:
        actions: list[AddAction | RemoveAction] = []
        for number, file in enumerate(files):
            name = f"{update_id}-{number}.parquet"
            store.copy(file.key, f"{table_path(table)}/{name}")
            statistics = f'{{"numRecords": {file.rows}}}'
            now = time.time_ns() // 1_000_000
            actions.append(AddAction(name, file.size, {}, now, True, statistics))

        def commit() -> None:
            delta.update_incremental()
            # Another process may be publishing this very update: one commit of it is enough.
            if delta.transaction_version(update_id) is not None:
                return
            delta.create_write_transaction(
                actions,
                "append",
                delta.schema(),
                commit_properties=CommitProperties(
                    custom_metadata=said, app_transactions=[Transaction(update_id, 1)]
                ),
            )

        _patiently(commit)
        delta.update_incremental()
    version = _version_of(store, table, delta, update_id)
    _make_durable(store, table, version)
    return version


def _create(store: Store, table: str, schema: pa.Schema) -> DeltaTable:
    try:
        return open_table(store, table)
    except TableNotFoundError:
        if store.is_local:
            make_folder(Path(store.full(table_path(table))))
        return DeltaTable.create(
            _uri(store, table), schema, mode="ignore", storage_options=storage_options(store)
        )


def _version_of(store: Store, table: str, delta: DeltaTable, update_id: str) -> int:
    # Asked of the log itself: DeltaTable.history numbers commits wrongly while others commit.
    latest = int(delta.version())
    for version in range(latest, -1, -1):
        try:
            lines = store.read_bytes(
                f"{table_path(table)}/_delta_log/{version:020d}.json"
            ).splitlines()
        except NotFoundError:
            # Delta has put this part of its log into a checkpoint, and cleared it away.
            break
        if any(json.loads(line).get("txn", {}).get("appId") == update_id for line in lines):
            return version
    return latest


def _uri(store: Store, table: str) -> str:
    return store.full(table_path(table)) if store.is_local else f"{store.url}/{table_path(table)}"


def _patiently(action: Callable[[], _Result]) -> _Result:
    for attempt in range(_ATTEMPTS):
        try:
            return action()
        except DeltaError:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(0.01 * 2**attempt)
    raise AssertionError("unreachable")


def _make_durable(store: Store, table: str, version: int) -> None:
    # deltalake leaves it to the kernel when a commit reaches the disk.
    if not store.is_local:
        return
    log = Path(store.full(table_path(table))) / "_delta_log"
    record = log / f"{version:020d}.json"
    if record.exists():
        with record.open("rb") as stream:
            os.fsync(stream.fileno())
    sync_folder(log)
