"""`group`: near-duplicates of an update's new samples, by TLSH and import hash.

Takes the staged `samples` and the parent's `groups` and `splits`; stages `groups` (rows of the new
samples, and of those whose group was merged into an older one) and `merges`.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from corpus.contract.reports import GroupReport
from corpus.contract.requests import GroupRequest
from corpus.services.context import Context
from corpus.services.group.grouping import group_samples
from corpus.services.group.similarity import NewSamples, linked_rows
from corpus.settings import GroupSettings
from corpus.store.snapshots import Parent

_COLUMNS = ["sha256", "group_id", "tlsh", "imphash", "sequence"]


def group(request: GroupRequest, context: Context) -> GroupReport:
    """Stage groups and merges. Raises `BadInputError` if a TLSH digest is malformed."""
    update = context.begin(request)
    samples = update.read("samples", ["sha256", "tlsh", "imphash"])
    settings = context.settings.groups
    known = update.parent.scan("groups", ["sha256"], keys=samples["sha256"])["sha256"]
    old = pc.is_in(samples["sha256"], value_set=known.combine_chunks())
    samples = samples.filter(pc.invert(old))
    linked = _linked_groups(update.parent, samples, settings)
    context.progress.say(
        f"group: {samples.num_rows} new samples, {linked.num_rows} known ones in groups near them."
    )
    grouping = group_samples(
        samples, linked, lambda sha256s: _splits_of(update.parent, sha256s), settings
    )
    # An update that was grouped before may have lost samples since: its part is then emptied.
    if grouping.rows.num_rows or update.has("groups"):
        update.write("groups", grouping.rows)
    if grouping.merges or update.has("merges"):
        update.write("merges", grouping.merges)
    statuses = [merge["status"] for merge in grouping.merges]
    report = GroupReport(
        update=update.id,
        samples=samples.num_rows,
        groups_new=grouping.founded,
        joined=grouping.joined,
        merged=statuses.count("merged"),
        refused=statuses.count("refused"),
        largest_group=grouping.largest,
    )
    update.write_report("group", report.model_dump(mode="json"))
    return report


def _linked_groups(parent: Parent, samples: pa.Table, settings: GroupSettings) -> pa.Table:
    """Rows of all samples of those groups that a new sample is linked to, the oldest first."""
    # Rows that later ones replaced link as these do, and name groups that have no members now.
    every = parent.every_row("groups", ["tlsh", "imphash", "group_id"])
    rows = linked_rows(NewSamples.read(samples, settings), every)
    group_ids = every["group_id"].take(pa.array(rows))
    linked = parent.scan_with("groups", _COLUMNS, "group_id", group_ids)
    return linked.sort_by([("sequence", "ascending"), ("sha256", "ascending")])


def _splits_of(parent: Parent, sha256s: list[str]) -> dict[str, str]:
    rows: pa.Table = parent.scan("splits", ["sha256", "split"], keys=sha256s)
    return dict(zip(rows["sha256"].to_pylist(), rows["split"].to_pylist(), strict=True))
