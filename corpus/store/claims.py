"""Who may publish which number: a claim, created once, that names the update and its plan."""

from __future__ import annotations

from typing import Any

from corpus.errors import NotFoundError
from corpus.store import manifest as manifests
from corpus.store.object_store import Store


def claim_of(store: Store, sequence: int) -> dict[str, Any] | None:
    """The claim on a sequence number: whose it is, and which plan it names."""
    try:
        claim: dict[str, Any] = store.read_json(manifests.log_key(sequence))
    except NotFoundError:
        return None
    return claim


def release_claim(store: Store, update_id: str, sequence: int) -> bool:
    """Give up the claim of an update that will never publish; False where it has none."""
    claim = claim_of(store, sequence)
    if claim is None or claim["update"] != update_id:
        return False
    store.delete_files([manifests.log_key(sequence)])
    return True
