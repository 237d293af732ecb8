"""The manifest of a snapshot: everything it consists of, under one digest.

format          of the store (see corpus.store.format)
id, sequence, parent, parent_digest, created_at, update_id, note
run             who began the update (dag_id, run_id, run_uuid, ...)
claim_sha256    of the log record that gave the update its sequence number
code            version, and revision where it is known
images          {service: [{name, digest}]} of the containers that its services ran in
settings_digest, label_policy, splits, feature_sets ({name: dimensions})
tables          {name: {version (of the Delta table), files: [{key, sha256, size, rows, sequence}]}}
counts          of the whole snapshot, as in its stats
changes         what the update did to its parent, as in its stats
files           [{key, sha256, size}] of stats and card
content_digest, content_state (base64)
manifest_digest sha256 of the canonical JSON of all the rest
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from corpus.store.object_store import Store, WrittenFile, to_json
from corpus.store.snapshots import Snapshot


def log_key(sequence: int) -> str:
    return f"snapshots/log/{sequence:08d}.json"


def manifest_key(snapshot_id: str) -> str:
    return f"snapshots/{snapshot_id}/manifest.json"


def digest_of(manifest: Mapping[str, Any]) -> str:
    """sha256 of the canonical JSON of a manifest without its `manifest_digest`."""
    rest = {name: value for name, value in manifest.items() if name != "manifest_digest"}
    return hashlib.sha256(to_json(rest)).hexdigest()


def sealed(manifest: Mapping[str, Any], files: list[WrittenFile]) -> dict[str, Any]:
    """A manifest with the files of its stats and card, and its own digest."""
    listed = [
        {"key": file.key, "sha256": file.sha256, "size": file.size}
        for file in sorted(files, key=lambda file: file.key)
    ]
    whole = {**manifest, "files": listed}
    return {**whole, "manifest_digest": digest_of(whole)}


def table_entry(
    base: Snapshot | None, table: str, sequence: int, version: int | None, added: list[WrittenFile]
) -> dict[str, Any]:
    """A table's entry: the files of the parent, and those that the update added under `data/`."""
    parent = base.manifest["tables"].get(table) if base else None
    return {
        "version": parent["version"] if version is None and parent else version,
        "files": [
            *(parent["files"] if parent else []),
            *(
                {
                    "key": data_key(table, file.sha256),
                    "sha256": file.sha256,
                    "size": file.size,
                    "rows": file.rows,
                    "sequence": sequence,
                }
                for file in added
            ),
        ],
    }


def data_key(table: str, sha256: str) -> str:
    return f"data/{table}/{sha256}.parquet"


def create(store: Store, manifest: Mapping[str, Any]) -> None:
    """Write a manifest, unless another process that publishes the same update was faster."""
    store.create_bytes(manifest_key(manifest["id"]), to_json(manifest))
