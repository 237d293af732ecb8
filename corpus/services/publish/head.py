"""The head of a manifest: all of it that is known before its update has claimed a number."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corpus import __version__
from corpus.settings import Settings
from corpus.store import provenance
from corpus.store.content_digest import ContentDigest
from corpus.store.format import FORMAT
from corpus.store.staging import Update


def head(
    update: Update,
    settings: Settings,
    stats: Mapping[str, Any],
    feature_sets: Mapping[str, int],
    digest: ContentDigest,
) -> dict[str, Any]:
    """All of a manifest that is known before its update has claimed a sequence number."""
    from corpus.services.label.policy import policy_record
    from corpus.services.split.assignment import cuts_of

    base = update.base
    return {
        "format": FORMAT,
        "id": update.id,
        "sequence": update.sequence,
        "parent": base.id if base else None,
        "parent_digest": base.manifest["manifest_digest"] if base else None,
        "update_id": update.id,
        "run": update.record["run"],
        "code": code(),
        "images": provenance.of(update),
        "settings_digest": settings.digest,
        "label_policy": policy_record(settings),
        "splits": cuts_of(update),
        "feature_sets": {**(base.feature_sets if base else {}), **feature_sets},
        "counts": stats["counts"],
        "changes": {name: n for name, n in stats["this_update"].items() if name != "drift"},
        "content_digest": digest.hexdigest(),
        "content_state": base64.b64encode(digest.state).decode(),
    }


def code() -> dict[str, str]:
    """Version of the corpus code and, where it is known, the revision it was built from."""
    revision = os.environ.get("CORPUS_CODE_VERSION") or _git_revision()
    return {"version": __version__, **({"revision": revision} if revision else {})}


def _git_revision() -> str | None:
    checkout = Path(__file__).resolve().parents[3]
    if not (checkout / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
