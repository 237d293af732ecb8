"""Label history: the labels as they stood at any time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pyarrow as pa
import pyarrow.compute as pc

from corpus.errors import BadInputError
from corpus.store.schemas import LABELS, TIME
from corpus.store.snapshot_rows import latest_rows
from corpus.store.snapshots import Snapshot


def labels_as_of(snapshot: Snapshot, when: date | str) -> pa.Table:
    """The labels as they stood at `when` (without a zone: UTC), of the samples labelled by then.

    A text is ISO 8601; a day without a time is its first moment. Raises `BadInputError` for others.

    Rows of the `labels` table, one a sample: of those resolved no later than `when`, the newest.
    Only what the snapshot knows counts, so its own time gives its own labels.
    """
    entries = snapshot.files(LABELS.name)
    if not entries:
        return LABELS.schema.empty_table()
    until = pa.scalar(_moment(when), TIME)
    rows = snapshot.store.dataset([entry["key"] for entry in entries], LABELS.schema).to_table(
        filter=pc.field("resolved_at") <= until
    )
    return latest_rows(rows, LABELS.key)


def _moment(when: date | str) -> datetime:
    try:
        found = datetime.fromisoformat(when) if isinstance(when, str) else when
        if isinstance(found, date) and not isinstance(found, datetime):
            found = datetime.combine(found, time())
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (AttributeError, ValueError) as error:
        raise BadInputError(
            f"{when!r} is not a time: ISO 8601, or a datetime.", field="as_of"
        ) from error
