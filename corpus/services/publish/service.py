"""Publish: the one service that changes what others see, step by step and each step once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

# Before Python 3.12 pydantic checks only TypedDicts of this module.
from typing_extensions import TypedDict

from corpus.contract.reports import PublishReport
from corpus.contract.requests import PublishRequest
from corpus.errors import BlockedError, ConflictError, NotFoundError
from corpus.services.context import Context
from corpus.services.publish.plan import Plan, staged_content
from corpus.store import manifest as manifests
from corpus.store.claims import Claim, claim_of, log_key, release_claim, take_claim
from corpus.store.ending import abandoned, end_of, settle
from corpus.store.object_store import Store
from corpus.store.schemas import FEATURES_PREFIX, TABLES, TableSpec, features_spec
from corpus.store.snapshots import LATEST, Snapshot
from corpus.store.staging import Update


def publish(request: PublishRequest, context: Context) -> PublishReport:
    """Publish a validated update, or go on with a publication that was interrupted.

    Raises `NothingNewError`; `BlockedError` if `validate` has not passed what is staged; `ConflictError`
    if another update has published since this one began, or is publishing, or if this one was published
    with other content than it has staged now.
    """
    update = context.resume(request)
    store = context.store
    published = store.exists(manifests.manifest_key(update.id))
    if not published:
        claim = claim_of(store, update.sequence)
        if claim is None or claim["update"] != update.id:
            plan = _plan(update, context)
            if request.dry_run:
                return _report_of(plan.head, dry_run=True)
            claim = _claim(update, plan, request.note)
        # From here on rows are committed, and there is no way back.
        if settle(store, update.id, "publish") != "publish":
            release_claim(store, update.id, update.sequence)
            raise abandoned(update.id)
        try:
            _write(update, claim, context)
        except (NotFoundError, FileNotFoundError):
            # Another process that published this very update was done first, and cleared up.
            if not store.exists(manifests.manifest_key(update.id)):
                raise
    snapshot = Snapshot.open(store, update.id)
    _point_latest(store, snapshot)
    Plan.discard(store, update.id)
    if published:
        _refuse_other_content(update, snapshot)
    report = _report(snapshot)
    update.write_report("publish", report.model_dump(mode="json"))
    return report


def _plan(update: Update, context: Context) -> Plan:
    from corpus.changes.rows import anything, nothing_new
    from corpus.changes.stats import updated_stats

    stats = updated_stats(update)
    if not anything(stats["this_update"]):
        raise nothing_new(update)
    _require_valid(update)
    update.refuse_if_stale()
    holder = claim_of(update.store, update.sequence)
    if holder is not None and holder["update"] != update.id:
        raise _conflict(update, holder["update"])
    return Plan.of(update, stats, context.settings)


def _refuse_other_content(update: Update, snapshot: Snapshot) -> None:
    """An id used a second time must not pass for published: a retry has staged the same again."""
    if staged_content(update).hexdigest() != snapshot.manifest["content_digest"]:
        raise ConflictError(
            f"update {update.id} is published already, and not with what it has staged since.",
            hint="Nothing was published. Start a new update; it finds what is still new.",
            update=update.id,
        )


class _Judged(TypedDict):
    """What decides whether a judged update may be published."""

    staged_digest: str
    result: str
    gates: list[dict[str, Any]]


_JUDGED = TypeAdapter(_Judged)


def _require_valid(update: Update) -> None:
    again = f"Run `corpus validate --update {update.id}`, then publish."
    reports = update.reports("validate", _JUDGED)
    if not reports:
        raise BlockedError(f"update {update.id} was not validated.", hint=again, update=update.id)
    for report in reports:
        if report["staged_digest"] != update.staged_digest():
            raise BlockedError(
                f"what update {update.id} has staged changed after it was validated.",
                hint=again,
                update=update.id,
            )
        if report["result"] == "block":
            gates = [gate for gate in report["gates"] if gate["result"] == "block"]
            named = ", ".join(sorted({gate["name"] for gate in gates}))
            raise BlockedError(
                f"validate blocked update {update.id}: {named or 'strict'}.",
                hint=f"`corpus validate --update {update.id}` says more.",
                update=update.id,
                gates=gates,
            )


def _claim(update: Update, plan: Plan, note: str) -> Claim:
    """Take the update's sequence number, unless it is taken; what is published is fixed from here."""
    claim: Claim = {
        "sequence": update.sequence,
        "update": update.id,
        "plan": plan.write(update.store),
        "note": note,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    holder = take_claim(update.store, claim)
    if holder is None or holder["update"] != update.id:
        raise _conflict(update, holder["update"] if holder else None)
    return holder


def _conflict(update: Update, holder: str | None) -> ConflictError:
    who = f"update {holder}" if holder else "another update"
    if holder and update.store.exists(manifests.manifest_key(holder)):
        return ConflictError(
            f"{who} was published while update {update.id} was being made.",
            hint="Nothing was published. Start a new update; it finds what is still new.",
            update=update.id,
            holder=holder,
        )
    finish = ""
    if holder and end_of(update.store, holder) == "abandon":
        finish = f" `corpus abandon {holder}`, once more, frees the number."
    elif holder:
        finish = f" If it was interrupted, `corpus publish --update {holder}` ends it."
    return ConflictError(
        f"{who} is publishing snapshot number {update.sequence}, which update {update.id} wanted.",
        hint=f"Nothing was published. Wait for it, then start a new update.{finish}",
        update=update.id,
        holder=holder,
    )


def _write(update: Update, claim: Claim, context: Context) -> None:
    from corpus.card import write_card

    store = context.store
    plan = Plan.read(store, update.id, claim["plan"])
    draft: manifests.Draft = {
        **plan.head,
        "created_at": claim["created_at"],
        "note": claim["note"],
        "claim_sha256": store.measure(log_key(update.sequence)).sha256,
        "tables": _tables(update, plan, context),
    }
    stats = store.write_json(f"snapshots/{update.id}/stats.json", plan.stats)
    card = write_card(store, draft, plan.stats)
    if claim_of(store, update.sequence) != claim:
        raise ConflictError(
            f"update {update.id} no longer has the claim on snapshot number {update.sequence}.",
            hint=f"No snapshot was made. `corpus publish --update {update.id}` tries again.",
            update=update.id,
        )
    manifests.create(store, manifests.sealed(draft, [stats, *card]))


def _tables(update: Update, plan: Plan, context: Context) -> dict[str, manifests.TableEntry]:
    from corpus.store import delta, index

    names = sorted({*plan.files, *update.parent.tables})
    tables = {}
    for number, table in enumerate(names):
        context.progress.step("publish: tables", number, len(names))
        files = plan.files.get(table, [])
        version = None
        if files:
            schema = _spec(table, plan).schema
            run = update.record["run"].get("run_uuid")
            version = delta.append(context.store, table, schema, files, update.id, run)
            for file in files:
                context.store.copy(file.key, manifests.data_key(table, file.sha256))
        parent = update.parent.table(table)
        tables[table] = manifests.table_entry(parent, table, update.sequence, version, files)
        index.complete(context.store, _spec(table, plan), tables[table]["files"])
    return tables


def _spec(table: str, plan: Plan) -> TableSpec:
    if table.startswith(FEATURES_PREFIX):
        name = table.removeprefix(FEATURES_PREFIX)
        return features_spec(name, plan.head["feature_sets"][name])
    return TABLES[table]


def _point_latest(store: Store, snapshot: Snapshot) -> None:
    latest = Snapshot.latest(store)
    if latest.sequence < snapshot.sequence:
        store.write_json(LATEST, {"id": snapshot.id, "manifest_digest": snapshot.digest})


def _report(snapshot: Snapshot) -> PublishReport:
    card = f"{snapshot.store.url}/snapshots/{snapshot.id}/card/index.html"
    return _report_of(snapshot.manifest, dry_run=False, manifest_digest=snapshot.digest, card=card)


def _report_of(head: manifests.Head, **fields: Any) -> PublishReport:
    return PublishReport(
        update=head["update_id"],
        snapshot=head["id"],
        sequence=head["sequence"],
        parent=head["parent"],
        content_digest=head["content_digest"],
        counts=dict(head["counts"]),
        changes=dict(head["changes"]),
        **fields,
    )
