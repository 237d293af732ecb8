"""The head of a manifest: all of it that is known before its update has claimed a number."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Any, cast

from pydantic import TypeAdapter

# Before Python 3.12 pydantic checks only TypedDicts of this module.
from typing_extensions import TypedDict

from corpus.contract.version import current
from corpus.settings import Settings
from corpus.store import provenance
from corpus.store.content_digest import ContentDigest
from corpus.store.format import FORMAT
from corpus.store.manifest import Head, SplitCuts
from corpus.store.staging import Update
from corpus.store.statistics import Changes, Statistics


class _Labelled(TypedDict):
    """What a manifest takes from the report of `label`."""

    policy: dict[str, Any]


class _Split(TypedDict):
    """What a manifest takes from the report of `split`."""

    cuts: SplitCuts


_LABELLED, _SPLIT = TypeAdapter(_Labelled), TypeAdapter(_Split)


def head(
    update: Update,
    settings: Settings,
    stats: Statistics,
    feature_sets: Mapping[str, int],
    digest: ContentDigest,
) -> Head:
    """All of a manifest that is known before its update has claimed a sequence number."""
    parent = update.parent
    changes = {name: n for name, n in stats["this_update"].items() if name != "drift"}
    return {
        "format": FORMAT,
        "id": update.id,
        "sequence": update.sequence,
        "parent": parent.id,
        "parent_digest": parent.digest,
        "update_id": update.id,
        "run": update.record["run"],
        "code": code(),
        "images": provenance.of(update),
        "settings_digest": settings.digest,
        "label_policy": policy_of(update),
        "splits": cuts_of(update),
        "feature_sets": {**parent.feature_sets, **feature_sets},
        "counts": stats["counts"],
        "changes": cast(Changes, changes),
        "content_digest": digest.hexdigest(),
        "content_state": base64.b64encode(digest.state).decode(),
    }


def policy_of(update: Update) -> dict[str, Any]:
    """The label policy that an update's labels follow, as `label` reported it; else the parent's."""
    reports = update.reports("label", _LABELLED)
    policy: dict[str, Any] = (
        reports[-1]["policy"] if reports else update.parent.manifest["label_policy"]
    )
    return policy


def cuts_of(update: Update) -> SplitCuts:
    """How the corpus is split once an update is published, as `split` reported it; else the parent's."""
    reports = update.reports("split", _SPLIT)
    cuts: SplitCuts = reports[-1]["cuts"] if reports else update.parent.manifest["splits"]
    return cuts


def code() -> dict[str, str]:
    """Return the version of the corpus code and, if it is known, the revision it was built from."""
    found = current()
    revision = os.environ.get("CORPUS_CODE_VERSION") or found.revision
    return {"version": found.version, **({"revision": revision} if revision else {})}
