"""Who may publish which number: a claim, created once, that names the update and its plan.

snapshots/log/<sequence>.json
"""

from __future__ import annotations

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from corpus.errors import NotFoundError
from corpus.store.object_store import Store, to_json
from corpus.store.records import read_record


class Claim(TypedDict):
    """The claim of an update on a sequence number; `plan` is the digest of the plan that it fixes.

    `note` and `created_at` (ISO 8601, to the second) are those of the snapshot.
    """

    sequence: int
    update: str
    plan: str
    note: str
    created_at: str


CLAIM = TypeAdapter(Claim)


def log_key(sequence: int) -> str:
    """Return the key of the claim on a sequence number."""
    return f"snapshots/log/{sequence:08d}.json"


def claim_of(store: Store, sequence: int) -> Claim | None:
    """The claim on a sequence number, if there is one. Raises `DamagedError`."""
    try:
        return read_record(store, log_key(sequence), CLAIM)
    except NotFoundError:
        return None


def take_claim(store: Store, claim: Claim) -> Claim | None:
    """Claim a sequence number, unless it is taken; return the claim that holds then."""
    store.create_bytes(log_key(claim["sequence"]), to_json(claim))
    # Read back whoever won: on S3 our own PUT may have been repeated, and then seem to be refused.
    return claim_of(store, claim["sequence"])


def release_claim(store: Store, update_id: str, sequence: int) -> bool:
    """Give up the claim of an update that will never publish; return whether it had one."""
    claim = claim_of(store, sequence)
    if claim is None or claim["update"] != update_id:
        return False
    store.delete_files([log_key(sequence)])
    return True
