"""The card as one page that loads nothing: styles and plots are in it, all text is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpus.card.plots import plots
from corpus.card.words import LIMITS, TABLE_WORDS, describe_splits
from corpus.contract.splits import SIDES, SPLITS
from corpus.store.manifest import Draft
from corpus.store.schemas import FEATURES_PREFIX
from corpus.store.statistics import Statistics

_LABELS = ("malicious", "benign", "unknown")
# Which task began the update is an accident; who asked for it is not.
_RUN = ("dag_id", "run_id", "run_uuid", "run_type", "triggered_by")
_TOP = 15
_FIELDS = (
    "note", "created_at", "parent", "sequence", "feature_sets", "content_digest", "settings_digest",
    "code", "images",
)  # fmt: skip
_CHANGES = {
    "new": "new samples", "relabelled": "relabelled", "moved": "moved to another split",
    "regrouped": "moved to another group", "re_extracted": "extracted again, with another vector",
    "failures": "failures", "verdicts": "verdicts", "rejects": "files rejected",
    "unsupported": "files of other types",
}  # fmt: skip


def page(manifest: Draft, stats: Statistics, judged: Mapping[str, Any] | None = None) -> str:
    """The HTML of a snapshot's card; `judged` is the report of `validate`, if there is one."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("corpus.card"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda n: f"{n:,}"
    environment.filters["size"] = _size
    environment.filters["share"] = lambda n, whole: f"{n / whole:.1%}" if whole else "–"
    return environment.get_template("card.html").render(
        manifest={**dict.fromkeys(_FIELDS), **manifest},
        counts=stats["counts"],
        plots={name: Markup(svg) for name, svg in plots(stats).items()},  # noqa: S704
        first=len(stats["growth"]) < 2,
        labels=[
            name
            for name in (*_LABELS, "none")
            if name in _LABELS or stats["counts"]["labels"].get(name)
        ],
        splits=_splits(stats),
        split_words=describe_splits(manifest),
        undated=sum(stats["weeks"].get("undated", {}).values()),
        families=_top(stats["families"]),
        family_count=len(stats["families"]),
        unsupported=_top(stats["counts"]["unsupported"]),
        unsupported_files=sum(stats["counts"]["unsupported"].values()),
        losses=any(stats["counts"][name] for name in ("failures", "rejects")),
        changes=_changes(stats["this_update"]),
        tables=_tables(manifest),
        gates=judged["gates"] if judged else [],
        verdict=judged["result"] if judged else None,
        policy=_flat(manifest.get("label_policy")),
        run=_flat({k: v for k, v in (manifest.get("run") or {}).items() if k in _RUN and v}),
        limits=LIMITS,
    )


def _splits(stats: Statistics) -> list[tuple[str, Mapping[str, int], int]]:
    counts = stats["counts"]
    names = [*SPLITS, *sorted(set(counts["splits"]) - set(SPLITS))]
    return [
        (name, counts["labels_by_split"].get(name, {}), counts["splits"].get(name, 0))
        for name in names
        if name in SIDES or counts["splits"].get(name)
    ]


def _top(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_TOP]


def _changes(this_update: Mapping[str, Any]) -> list[tuple[int, str]]:
    found = []
    for name, words in _CHANGES.items():
        n = this_update.get(name, 0)
        total = sum(n.values()) if isinstance(n, Mapping) else n
        if total:
            found.append((total, words))
    return found


def _tables(manifest: Draft) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "words": f"Vectors of {name.removeprefix(FEATURES_PREFIX)}"
            if name.startswith(FEATURES_PREFIX)
            else TABLE_WORDS.get(name, ""),
            "rows": sum(file.get("rows", 0) for file in entry["files"]),
            "files": len(entry["files"]),
            "size": sum(file["size"] for file in entry["files"]),
            "version": entry.get("version"),
        }
        for name, entry in sorted(manifest.get("tables", {}).items())
    ]


def _flat(value: Any) -> list[tuple[str, str]]:
    """A manifest's field as pairs to show, whatever its form."""
    if not value:
        return []
    if not isinstance(value, Mapping):
        return [("", str(value))]
    return [(str(name).replace("_", " "), _words(inner)) for name, inner in sorted(value.items())]


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_words(inner) for inner in value) or "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_words(inner)}" for name, inner in sorted(value.items()))
    return "–" if value in (None, "") else str(value)


def _size(size: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"
