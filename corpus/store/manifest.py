"""The manifest of a snapshot: everything it consists of, under one digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from corpus.contract.run_identity import Image, RunIdentity
from corpus.store.object_store import Store, WrittenFile, to_json
from corpus.store.statistics import Changes, Counts


class ListedFile(TypedDict):
    """A file of a snapshot: `size` in bytes, `sha256` of those bytes in hex."""

    key: str
    sha256: str
    size: int


class TableFile(ListedFile):
    """A data file: how many rows it has, and the number of the snapshot that added it."""

    rows: int
    sequence: int


class TableEntry(TypedDict):
    """One table: the version of its Delta table, and its data files, the oldest first."""

    version: int | None
    files: list[TableFile]


class SplitCuts(TypedDict):
    """How the corpus is split.

    `method` is "time", "ratio" or "mixed"; `validation_from` and `test_from` are first days
    (YYYY-MM-DD); `ratio` (shares of train, validation and test) and `seed` place what has no date;
    `undated` counts samples without first-seen. All but the last are null if nothing is split.
    """

    method: str | None
    validation_from: str | None
    test_from: str | None
    ratio: list[float] | None
    seed: int | None
    undated: int


class Contents(TypedDict):
    """What a manifest says of the rows of a snapshot; the empty parent says it too.

    `label_policy` is the policy as `Policy.record` gives it, with its `digest`; `feature_sets` are
    {name: dimensions}; `content_state` is the state of the content digest, 2,048 bytes in base64.
    """

    sequence: int
    label_policy: dict[str, Any]
    splits: SplitCuts
    feature_sets: dict[str, int]
    counts: Counts
    content_digest: str
    content_state: str


class Head(Contents):
    """All of a manifest that is known before its update has claimed a sequence number.

    `code` has the version, and the revision if it is known; `images` are {service: images that
    it ran in}; `run` says who began the update.
    """

    format: int
    id: str
    parent: str | None
    parent_digest: str | None
    update_id: str
    run: RunIdentity
    code: dict[str, str]
    images: dict[str, list[Image]]
    settings_digest: str
    changes: Changes


class Tables(TypedDict):
    """The tables of a snapshot, by name."""

    tables: dict[str, TableEntry]


class Draft(Head, Tables):
    """A manifest before its stats and card are written; `claim_sha256` is of its claim's bytes."""

    created_at: str
    note: str
    claim_sha256: str


class Manifest(Draft):
    """A whole manifest: `files` are its stats and card, `manifest_digest` the sha256 of the canonical
    JSON of all the rest."""

    files: list[ListedFile]
    manifest_digest: str


HEAD = TypeAdapter(Head)
MANIFEST = TypeAdapter(Manifest)


def no_cuts() -> SplitCuts:
    """How a corpus without samples is split."""
    return {
        "method": None,
        "validation_from": None,
        "test_from": None,
        "ratio": None,
        "seed": None,
        "undated": 0,
    }


def manifest_key(snapshot_id: str) -> str:
    """Return the key of a snapshot's manifest."""
    return f"snapshots/{snapshot_id}/manifest.json"


def digest_of(manifest: Mapping[str, Any]) -> str:
    """sha256 of the canonical JSON of a manifest without its `manifest_digest`."""
    rest = {name: value for name, value in manifest.items() if name != "manifest_digest"}
    return hashlib.sha256(to_json(rest)).hexdigest()


def sealed(draft: Draft, files: list[WrittenFile]) -> Manifest:
    """A manifest with the files of its stats and card, and its own digest."""
    listed: list[ListedFile] = [
        {"key": file.key, "sha256": file.sha256, "size": file.size}
        for file in sorted(files, key=lambda file: file.key)
    ]
    return {
        **draft,
        "files": listed,
        "manifest_digest": digest_of({**draft, "files": listed}),
    }


def table_entry(
    parent: TableEntry, table: str, sequence: int, version: int | None, added: list[WrittenFile]
) -> TableEntry:
    """A table's entry: the files of the parent, and those that the update added under `data/`."""
    new: list[TableFile] = [
        {
            "key": data_key(table, file.sha256),
            "sha256": file.sha256,
            "size": file.size,
            "rows": file.rows,
            "sequence": sequence,
        }
        for file in added
    ]
    return {
        "version": parent["version"] if version is None else version,
        "files": [*parent["files"], *new],
    }


def data_key(table: str, sha256: str) -> str:
    """Return the key of a data file, by the sha256 of its bytes."""
    return f"data/{table}/{sha256}.parquet"


def create(store: Store, manifest: Manifest) -> None:
    """Write a manifest, unless another process that publishes the same update was faster."""
    store.create_bytes(manifest_key(manifest["id"]), to_json(manifest))
