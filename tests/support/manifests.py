"""Whole manifests for tests that say of a snapshot only what they are about."""

from __future__ import annotations

from typing import Any

from corpus.store.manifest import no_cuts
from corpus.store.object_store import Store
from corpus.store.snapshots import LATEST
from corpus.store.staging import Update
from corpus.store.statistics import no_counts, no_statistics


def write_snapshot(
    update: Update, tables: dict[str, dict[str, Any]], **said: Any
) -> dict[str, Any]:
    """Write the manifest of an update's snapshot and make it the latest; what is not said is nothing.

    Files of `tables` need not say which snapshot added them.
    """
    store: Store = update.store
    manifest = {
        "format": 1,
        "id": update.id,
        "sequence": update.sequence,
        "parent": update.parent.id,
        "parent_digest": update.parent.digest,
        "update_id": update.id,
        "created_at": "2024-01-01T00:00:00+00:00",
        "note": "",
        "run": {},
        "code": {},
        "images": {},
        "settings_digest": "",
        "claim_sha256": "",
        "label_policy": {"digest": ""},
        "splits": no_cuts(),
        "feature_sets": {},
        "counts": no_counts(),
        "changes": {k: v for k, v in no_statistics()["this_update"].items() if k != "drift"},
        "content_digest": "",
        "content_state": update.parent.manifest["content_state"],
        "files": [],
        "manifest_digest": "",
        "tables": {
            name: {
                "version": entry.get("version"),
                "files": [{"sequence": update.sequence, **file} for file in entry["files"]],
            }
            for name, entry in tables.items()
        },
        **said,
    }
    store.write_json(f"snapshots/{update.id}/manifest.json", manifest)
    store.write_json(LATEST, {"id": update.id, "manifest_digest": manifest["manifest_digest"]})
    return manifest
