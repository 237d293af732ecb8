"""How an update ends, settled once: it is published, or it is abandoned.

staging/<update id>/end.json
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from corpus.errors import ConflictError, NotFoundError
from corpus.store.object_store import Store, to_json
from corpus.store.records import read_record
from corpus.store.update_record import record_key

End = Literal["publish", "abandon"]


class Ending(TypedDict):
    """How an update ends, and when that was settled (ISO 8601, to the second)."""

    end: End
    at: str


ENDING = TypeAdapter(Ending)


def end_of(store: Store, update_id: str) -> End | None:
    """How an update ends; None while that is not settled. Raises `DamagedError`."""
    try:
        return read_record(store, _end_key(update_id), ENDING)["end"]
    except NotFoundError:
        return None


def settle(store: Store, update_id: str, end: End) -> End | None:
    """Settle how an update ends, unless it is settled already; return how it does end.

    Of a publication and an abandonment at the same moment exactly one takes place. None if the
    staging area was removed meanwhile.
    """
    ending: Ending = {"end": end, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    store.create_bytes(_end_key(update_id), to_json(ending))
    # `clean` removes update.json first and end.json last: an end settled after it counts for nothing.
    settled = end_of(store, update_id)
    return settled if store.exists(record_key(update_id)) else None


def abandoned(update_id: str) -> ConflictError:
    """The error for whoever would go on with an update that was abandoned."""
    return ConflictError(
        f"update {update_id} was abandoned.",
        hint="Start a new update; it finds what is still new.",
        update=update_id,
    )


def _end_key(update_id: str) -> str:
    return f"staging/{update_id}/end.json"
