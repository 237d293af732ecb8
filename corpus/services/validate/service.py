"""validate: judge a staged update by its gates, and say whether `publish` may go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpus.contract.reports import ValidateReport
from corpus.contract.requests import ValidateRequest
from corpus.errors import BlockedError
from corpus.services.context import Context
from corpus.services.validate import gates as judge


def validate(request: ValidateRequest, context: Context) -> ValidateReport:
    """Judge an update. Raises `NothingNewError`, or `BlockedError` with every gate that blocks."""
    from corpus.changes.rows import Rows, anything, nothing_new
    from corpus.changes.stats import updated_stats
    from corpus.services.validate.checks import leaks, schema_violations

    update = context.resume(request)
    settings = context.settings.gates
    found = [judge.schema(schema_violations(update))]
    counts: Mapping[str, Any] = {}
    this_update: Mapping[str, Any] = {}
    # Rows that do not fit their table cannot be counted: the other gates wait until they do.
    if found[0].result == "pass":
        rows = Rows.of(update)
        stats = updated_stats(update, rows)
        counts, this_update = stats["counts"], stats["this_update"]
        if not anything(stats["this_update"]):
            raise nothing_new(update)
        sets = {*context.settings.features.sets, *update.feature_sets()}
        found += [
            judge.completeness(stats, sorted(sets)),
            *judge.failure_share(stats, settings),
            judge.label_balance(stats, settings),
            *judge.size(stats, update.parent.stats, settings),
            *judge.drift(stats, settings),
            judge.leakage(*leaks(update, rows)),
        ]
    report = ValidateReport(
        update=update.id,
        result=judge.overall(found, strict=request.strict),
        strict=request.strict,
        gates=found,
        staged_digest=update.staged_digest(),
        counts=dict(counts),
        this_update=dict(this_update),
    )
    update.write_report("validate", report.model_dump(mode="json"))
    for gate in found:
        context.progress.say(gate.line())
    if report.result == "block":
        raise _blocked(report)
    return report


def _blocked(report: ValidateReport) -> BlockedError:
    counted = ("block", "warn") if report.strict else ("block",)
    blocking = [gate for gate in report.gates if gate.result in counted]
    settings = sorted(
        {
            # A warning that blocks does so at the threshold of warnings.
            gate.setting if gate.result == "block" else gate.setting.removesuffix("block") + "warn"
            for gate in blocking
            if gate.setting
        }
    )
    change = f"change {', '.join(settings)}" if settings else "run its services again"
    return BlockedError(
        f"update {report.update} is blocked by {len(blocking)} gate{'s'[: len(blocking) > 1]}:\n"
        + "\n".join(f"  {gate.line()}" for gate in blocking)
        + "\n",
        hint=f"Nothing was published. Fix the input or {change}, then run validate again.",
        update=report.update,
        gates=[gate.model_dump(mode="json") for gate in blocking],
    )
