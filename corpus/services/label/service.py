"""`label`: resolve the verdicts of each sample into a label.

Takes the staged `samples` and `verdicts` and the parent's tables; stages `labels`: a row for each new
sample, and for each older one whose label, or what it rests on, is no longer what it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpus.contract.reports import LabelReport
from corpus.contract.requests import LabelRequest
from corpus.services.context import Context
from corpus.services.label.policy import Label, Policy, resolve
from corpus.store.schemas import LABELS, SAMPLES, TIME, VERDICTS, TableSpec
from corpus.store.snapshots import Parent
from corpus.store.staging import Update
from corpus.verdicts.record import BENIGN, MALICIOUS, UNKNOWN, VIRUSTOTAL, Verdict

_BATCH = 50_000
_SAMPLE = ["sha256", "first_seen"]
# Where it was read, the last two fields, makes no difference to a label.
_VERDICT = list(Verdict._fields[:-2])
_LABEL = ["sha256", *Label._fields, "policy"]


def label(request: LabelRequest, context: Context) -> LabelReport:
    """Stage labels. Raises `BadSettingError` if the policy contradicts itself."""
    update = context.begin(request)
    policy = Policy.of(context.settings)
    digest = policy.digest
    samples = _affected(update, digest, request.relabel)
    began = datetime.fromisoformat(update.record["began_at"])
    rows: list[pa.Table] = []
    labels: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    changed = 0
    for batch in _batches(update, samples):
        resolved = [
            (sha256, *resolve(verdicts, policy, first_seen), digest)
            for sha256, first_seen, verdicts, _ in batch
        ]
        for row, (_, _, _, current) in zip(resolved, batch, strict=True):
            labels[row[1]] += 1
            reasons[row[5].split(":")[0]] += 1
            changed += current is not None and current[1:3] != row[1:3]
        rows.append(
            _table([r for r, old in zip(resolved, batch, strict=True) if r != old[3]], began)
        )
        context.progress.step("label", sum(labels.values()), samples.num_rows)
    staged = pa.concat_tables([LABELS.schema.empty_table(), *rows], promote_options="default")
    if staged.num_rows or update.has(LABELS.name):
        update.write(LABELS.name, staged)
    report = LabelReport(
        update=update.id,
        samples=samples.num_rows,
        labels={name: labels[name] for name in (MALICIOUS, BENIGN, UNKNOWN)},
        changed=changed,
        reasons=dict(sorted(reasons.items())),
        due_for_reread=_due(update.parent, began, policy),
        policy=policy.record(),
    )
    update.write_report("label", report.model_dump(mode="json"))
    return report


def _affected(update: Update, policy_digest: str, relabel: bool) -> pa.Table:
    """`sha256` and `first_seen` of the samples to resolve, each once, in the order of `sha256`."""
    new = update.read(SAMPLES.name, _SAMPLE)
    was = update.parent.manifest["label_policy"]["digest"]
    if relabel or was != policy_digest:
        old = update.parent.scan(SAMPLES.name, _SAMPLE)
    else:
        named = pc.unique(update.read(VERDICTS.name, ["sha256"])["sha256"])
        old = update.parent.scan(SAMPLES.name, _SAMPLE, keys=pa.chunked_array([named]))
    old = old.filter(pc.invert(_among(old["sha256"], new["sha256"])))
    return pa.concat_tables([new, old]).sort_by("sha256")


def _batches(
    update: Update, samples: pa.Table
) -> Iterator[list[tuple[str, datetime | None, list[Verdict], tuple[Any, ...] | None]]]:
    """Samples with their first-seen time, their verdicts, and the label row that they have."""
    verdicts = _about(update, VERDICTS, _VERDICT, samples["sha256"])
    current = _about(update, LABELS, _LABEL, samples["sha256"])
    for start in range(0, samples.num_rows, _BATCH):
        batch = samples.slice(start, _BATCH)
        last = batch["sha256"][-1]
        # Both tables are sorted as the samples are: each batch is the head of what is left.
        said, verdicts = _split(verdicts, last)
        labelled, current = _split(current, last)
        by_sample = {
            sha256: [Verdict(*row) for row in rows]
            for sha256, rows in groupby(_tuples(said), key=itemgetter(_VERDICT.index("sha256")))
        }
        before = {row[0]: (*row[:7], tuple(row[7] or ()), *row[8:]) for row in _tuples(labelled)}
        yield [
            (sha256, first_seen, by_sample.get(sha256, []), before.get(sha256))
            for sha256, first_seen in _tuples(batch)
        ]


def _about(
    update: Update, spec: TableSpec, columns: list[str], sha256s: pa.ChunkedArray
) -> pa.Table:
    """Rows about these samples, in the order of sha256: verdicts of parent and update, or labels of parent."""
    rows = [spec.schema.empty_table().select(columns)]
    if len(sha256s) >= _rows_in(update.parent, SAMPLES.name):
        rows.append(update.parent.scan(spec.name, columns))
    else:
        rows.append(update.parent.scan_with(spec.name, columns, "sha256", sha256s))
    if spec is VERDICTS:
        staged = update.read(spec.name, columns)
        rows.append(staged.filter(_among(staged["sha256"], sha256s)))
    return pa.concat_tables(rows).sort_by("sha256")


def _rows_in(snapshot: Parent, table: str) -> int:
    return sum(entry["rows"] for entry in snapshot.files(table))


def _split(rows: pa.Table, last: pa.Scalar) -> tuple[pa.Table, pa.Table]:
    """The rows up to a sha256, and the others, of a table sorted by it."""
    head = pc.sum(pc.less_equal(rows["sha256"], last)).as_py() or 0
    return rows.slice(0, head), rows.slice(head)


def _tuples(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _table(rows: list[tuple[Any, ...]], began: datetime) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(_LABEL)
    table = pa.table(
        {
            name: pa.array(column, LABELS.schema.field(name).type)
            for name, column in zip(_LABEL, columns, strict=True)
        }
    )
    # The time the update began, not of this attempt, so that a retry stages the same content.
    return table.append_column("resolved_at", pa.array([began] * table.num_rows, TIME))


def _due(parent: Parent, began: datetime, policy: Policy) -> int:
    """Samples labelled by a report that was too young, made so long ago that a new one will not be."""
    provisional = parent.scan(LABELS.name, ["sha256"], where=pc.field("provisional"))["sha256"]
    if not len(provisional):
        return 0
    reports = parent.scan(
        VERDICTS.name,
        ["sha256", "reported_at"],
        where=(pc.field("source_kind") == VIRUSTOTAL)
        & pc.field("sha256").isin(provisional.combine_chunks()),
    )
    newest = reports.group_by("sha256").aggregate([("reported_at", "max")])
    limit = pa.scalar(began - timedelta(days=policy.reread_days), TIME)
    old = newest.filter(pc.less_equal(newest["reported_at_max"], limit))["sha256"]
    # A provisional row may since have been replaced by one that is not.
    labels = parent.scan(LABELS.name, ["provisional"], keys=old)
    return pc.sum(labels["provisional"]).as_py() or 0


def _among(values: pa.ChunkedArray, wanted: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.is_in(values, value_set=wanted.combine_chunks())
