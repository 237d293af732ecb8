"""Label history: the labels as they stood at any time."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from corpus.store.schemas import LABELS, TIME
from corpus.store.snapshots import Snapshot, latest_rows


def labels_as_of(snapshot: Snapshot, when: datetime) -> pa.Table:
    """The labels as they stood at `when` (without a zone: UTC), of the samples labelled by then.

    Rows of the `labels` table, one a sample: of those resolved no later than `when`, the newest.
    Only what the snapshot knows counts, so its own time gives its own labels.
    """
    entries = snapshot.files(LABELS.name)
    if not entries:
        return LABELS.schema.empty_table()
    until = pa.scalar(when if when.tzinfo else when.replace(tzinfo=UTC), TIME)
    rows = snapshot.store.dataset([entry["key"] for entry in entries], LABELS.schema).to_table(
        filter=pc.field("resolved_at") <= until
    )
    return latest_rows(rows, LABELS.key)
