"""The gates that an update must pass, each a plain function of numbers that gives one `Gate` or more.

docs/reference/gates.md says what each one means and what to do about it. `schema` and `leakage` look at staged
rows; all the others need nothing but the stats (see corpus.changes.stats).
"""

from __future__ import annotations

from collections.abc import Sequence

from corpus.contract.gate import Gate, Result
from corpus.settings import GateSettings
from corpus.store.statistics import Statistics

_MISSING = ("label", "group", "split")
# Failures of this service belong to no feature set.
_IDENTIFYING = "ingest"


def _judged(
    name: str,
    value: float,
    warn: float | None,
    block: float | None,
    message: str,
    *,
    below: bool = False,
    setting: str | None = None,
) -> Gate:
    def beyond(limit: float | None) -> bool:
        return limit is not None and (value < limit if below else value > limit)

    result: Result = "block" if beyond(block) else "warn" if beyond(warn) else "pass"
    return Gate(
        name=name, result=result, value=value, warn=warn, block=block, below=below,
        setting=setting, message=message,
    )  # fmt: skip


def schema(violations: Sequence[str]) -> Gate:
    """Staged parts hold exactly their table's columns, and values that are allowed in them."""
    return _judged(
        "schema", len(violations), None, 0,
        "; ".join(violations[:5]) + (f"; and {len(violations) - 5} more" if len(violations) > 5 else "")
        or "every staged part fits its table",
    )  # fmt: skip


def completeness(stats: Statistics, feature_sets: Sequence[str]) -> Gate:
    """Each sample, new or old, has a label state, a group, a split, and a vector or a failure."""
    counts = stats["counts"]
    missing = {f"a {name}": int(counts["missing"].get(name, 0)) for name in _MISSING}
    for name in feature_sets:
        done = counts["vectors"].get(name, 0) + sum(
            counts["failures_by_set"].get(name, {}).values()
        )
        missing[f"a {name} vector or failure"] = max(counts["samples"] - done, 0)
    lacking = [f"{n} without {what}" for what, n in missing.items() if n]
    new = stats["this_update"]["new"]
    if any(missing[f"a {name} vector or failure"] > new for name in feature_sets):
        lacking.append("known samples catch up by re-extracting (`collect --re-extract`)")
    if orphans := stats["this_update"]["orphans"]:
        missing["a sample"] = orphans
        lacking.append(f"rows of {orphans} that are not samples")
    return _judged(
        "completeness", sum(missing.values()), None, 0,
        f"of {counts['samples']} samples: {', '.join(lacking)}" if lacking
        else f"each of {counts['samples']} samples has a label state, a group, a split and "
        f"a vector or a failure ({', '.join(feature_sets) or 'no feature set'})",
    )  # fmt: skip


def failure_share(stats: Statistics, settings: GateSettings) -> list[Gate]:
    """Failed over tried extractions of this update, of each feature set; and of identifications.

    What `ingest` could not identify is a sample all the same: its share is that of the new samples.
    """
    done = stats["this_update"]
    names = sorted({*done["vectors"], *done["re_extracted"], *done["failures"]})
    gates = []
    for name in names:
        failed = done["failures"].get(name, 0)
        what = "identifications" if name == _IDENTIFYING else "extractions"
        tried = failed + done["vectors"].get(name, 0) + done["re_extracted"].get(name, 0)
        if name == _IDENTIFYING:
            tried = max(done["new"], failed)
        # Of three files, one that fails says nothing about the extractor.
        few = tried < settings.min_failure_samples
        gate = _judged(
            f"failure_share/{name}",
            failed / tried,
            settings.max_failure_share_warn,
            settings.max_failure_share_block,
            f"{failed} of {tried} {what} failed"
            + (f" (under {settings.min_failure_samples} never block)" if few else ""),
            setting="gates.max_failure_share_block",
        )
        gates.append(
            gate.model_copy(update={"result": "warn"}) if few and gate.result == "block" else gate
        )
    return gates or [Gate(name="failure_share", result="pass", message="nothing was extracted")]


def label_balance(stats: Statistics, settings: GateSettings) -> Gate:
    """Share of the smaller class among the malicious and benign samples of the whole corpus."""
    label = stats["counts"]["labels"]
    malicious, benign = label.get("malicious", 0), label.get("benign", 0)
    if not malicious + benign:
        return Gate(
            name="label_balance", result="warn", warn=settings.min_class_share_warn,
            block=settings.min_class_share_block, below=True, setting="gates.min_class_share_block",
            message="no sample is labelled malicious or benign",
        )  # fmt: skip
    return _judged(
        "label_balance",
        min(malicious, benign) / (malicious + benign),
        settings.min_class_share_warn,
        settings.min_class_share_block,
        f"{malicious} malicious, {benign} benign",
        below=True,
        setting="gates.min_class_share_block",
    )


def size(stats: Statistics, parent: Statistics, settings: GateSettings) -> list[Gate]:
    """Growth over the last snapshot; and that nothing was lost, which should be impossible."""
    now = stats["counts"]["samples"]
    was = parent["counts"]["samples"]
    new = stats["this_update"]["new"]
    lost = _judged(
        "lost", max(was + new - now, 0), None, 0, f"{was} samples before, {new} new, {now} after"
    )
    if not was:
        growth = Gate(
            name="growth",
            result="pass",
            message=f"{new} new samples; there is no snapshot to compare",
        )
    else:
        small = was < settings.min_growth_samples
        growth = _judged(
            "growth",
            new / was,
            settings.max_growth_warn,
            None if small else settings.max_growth_block,
            f"{new} new samples on {was}"
            + (f" (a snapshot under {settings.min_growth_samples} never blocks)" if small else ""),
            setting="gates.max_growth_block",
        )
    return [growth, lost]


def drift(stats: Statistics, settings: GateSettings) -> list[Gate]:
    """PSI of each feature group of this update's vectors against those published before."""
    gates = []
    for name, found in sorted(stats["this_update"]["drift"].items()):
        vectors, reference = found["vectors"], found["reference"]
        reason = None
        if vectors < settings.min_drift_samples:
            reason = f"{vectors} vectors are fewer than {settings.min_drift_samples}"
        elif not found["psi"]:
            reason = f"{reference} vectors published before are too few to compare with"
        if reason:
            gates.append(Gate(name=f"drift/{name}", result="pass", message=f"not judged: {reason}"))
            continue
        gates += [
            _judged(
                f"drift/{name}/{group}",
                index,
                settings.max_psi_warn,
                settings.max_psi_block,
                f"{vectors} vectors against {reference}",
                setting="gates.max_psi_block",
            )
            for group, index in sorted(found["psi"].items())
        ]
    return gates or [Gate(name="drift", result="pass", message="not judged: no vectors are staged")]


def leakage(across: Sequence[str], twice: Sequence[str], stale: Sequence[str]) -> Gate:
    """No group on two of train, validation and test; no sample in two splits; no outdated group.

    across: group ids on several sides; twice: samples staged in two splits; stale: samples whose
    split was made for another group than they are in now. Each sorted.
    """
    found = [
        f"{len(ids)} {what} (such as {ids[0]})"
        for what, ids in (
            ("groups on more than one side", across),
            ("samples in two splits", twice),
            ("samples split as of a group they are no longer in", stale),
        )
        if ids
    ]
    return _judged(
        "leakage", len(across) + len(twice) + len(stale), None, 0,
        "; ".join(found) or "no group and no sample is on two sides",
    )  # fmt: skip


def overall(gates: Sequence[Gate], *, strict: bool = False) -> Result:
    """The worst of the results; if `strict`, a warning counts as a block."""
    results = {gate.result for gate in gates}
    if "block" in results or (strict and "warn" in results):
        return "block"
    return "warn" if "warn" in results else "pass"
