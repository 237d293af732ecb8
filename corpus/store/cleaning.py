"""The sign that blobs are being removed: while it is fresh, no update begins or goes on.

staging/clean.json
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from corpus.errors import DamagedError, NotFoundError
from corpus.store.object_store import Store, to_json
from corpus.store.records import read_record

CLEANING = "staging/clean.json"
# Whoever removes blobs renews the sign; if it is older than this, its writer is dead.
CLEANING_LASTS = timedelta(minutes=10)


class Cleaning(TypedDict):
    """When whoever removes blobs last gave a sign of life (ISO 8601, UTC)."""

    at: str


_CLEANING = TypeAdapter(Cleaning)


def being_cleaned(store: Store) -> bool:
    """Whether a process that removes blobs is at work. Raises `DamagedError`."""
    try:
        at = read_record(store, CLEANING, _CLEANING)["at"]
        return datetime.now(UTC) - datetime.fromisoformat(at) < CLEANING_LASTS
    except NotFoundError:
        return False
    except (ValueError, TypeError) as error:
        problem = f"{CLEANING} is not the record that was written there: field 'at': is not a time."
        raise DamagedError(problem, key=CLEANING, field="at") from error


def sign_of_cleaning() -> bytes:
    """The bytes of a sign of life given now."""
    sign: Cleaning = {"at": datetime.now(UTC).isoformat()}
    return to_json(sign)
