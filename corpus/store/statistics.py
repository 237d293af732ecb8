"""Counts and histograms of a snapshot: what `snapshots/<id>/stats.json` holds.

`corpus.changes.stats` makes the statistics of an update's snapshot from those of its parent.
"""

from __future__ import annotations

from typing import NotRequired, cast

from pydantic import TypeAdapter
from typing_extensions import TypedDict


class Counts(TypedDict):
    """Counts of a whole snapshot; each dict leaves out what there is none of.

    `failures` ({reason: n}) and `failures_by_set` ({set: {reason: n}}) are of samples without a
    vector; `rejects` are files by reason, `unsupported` files by type; `missing` are samples
    without a "label", "group" or "split"; `vectors` are by feature set.
    """

    samples: int
    groups: int
    labels: dict[str, int]
    file_types: dict[str, int]
    architectures: dict[str, int]
    splits: dict[str, int]
    labels_by_split: dict[str, dict[str, int]]
    missing: dict[str, int]
    vectors: dict[str, int]
    failures: dict[str, int]
    failures_by_set: dict[str, dict[str, int]]
    rejects: dict[str, int]
    unsupported: dict[str, int]


class Growth(TypedDict):
    """Samples after one snapshot, by label; `at` is when its update began (ISO 8601)."""

    snapshot: str
    at: str
    samples: int
    malicious: int
    benign: int
    unknown: int


class Bins(TypedDict):
    """A histogram: n inner `edges`, and n + 1 `counts`; bin i has edges[i-1] <= value < edges[i]."""

    edges: list[float]
    counts: list[int]


class Reference(TypedDict):
    """What drift is measured against (see corpus.changes.drift), of `vectors` vectors.

    {group: {scalar: ...}} in both: `pending` has the values themselves, until there are enough of
    them to fix the bins of `groups`.
    """

    vectors: int
    groups: NotRequired[dict[str, dict[str, Bins]]]
    pending: NotRequired[dict[str, dict[str, list[float]]]]


class SetDrift(TypedDict):
    """Drift of one feature set: vectors of the update and of the reference, PSI by feature group."""

    vectors: int
    reference: int
    psi: dict[str, float]


class RowChanges(TypedDict):
    """What the rows of an update change in its parent: samples, unless it says otherwise.

    `relabelled` (another label), `regrouped`, `moved` (to another split) and `refamilied` are of
    samples that the parent has; `re_extracted` ({set: n}) have a vector other than before; `vectors`
    and `failures` ({set: n}) were added; `verdicts` are rows; `new_rejects` are files and archives
    not rejected for that reason before; `orphans` are staged keys that no sample has.
    """

    new: int
    relabelled: int
    regrouped: int
    moved: int
    refamilied: int
    re_extracted: dict[str, int]
    vectors: dict[str, int]
    failures: dict[str, int]
    verdicts: int
    new_rejects: int
    orphans: int


class Changes(RowChanges):
    """What an update does to its parent, with the files that it rejects and those of other types."""

    rejects: int
    unsupported: int


class ThisUpdate(Changes):
    """The changes of an update, and the drift of the feature sets that it staged vectors of."""

    drift: dict[str, SetDrift]


class Histograms(TypedDict):
    """Counts and histograms of a snapshot's samples.

    weeks     {ISO week such as "2024-W05", or "undated": {label: n}}, by the splits' first-seen
    sizes     {k: n}: files of 2^k up to 2^(k+1) - 1 bytes
    families  {family: n}
    """

    counts: Counts
    weeks: dict[str, dict[str, int]]
    sizes: dict[str, int]
    families: dict[str, int]


class Statistics(Histograms):
    """Statistics of a snapshot; `growth` has one entry a snapshot, the oldest first, and `drift` one
    reference a feature set."""

    snapshot: str
    growth: list[Growth]
    drift: dict[str, Reference]
    this_update: ThisUpdate


STATISTICS = TypeAdapter(Statistics)
_COUNTED = [name for name in Counts.__annotations__ if name not in ("samples", "groups")]


def no_counts() -> Counts:
    """Counts of nothing."""
    return cast(Counts, {"samples": 0, "groups": 0, **{name: {} for name in _COUNTED}})


def no_histograms() -> Histograms:
    """Counts and histograms of nothing."""
    return {"counts": no_counts(), "weeks": {}, "sizes": {}, "families": {}}


def no_statistics() -> Statistics:
    """Statistics of a corpus that nothing was published in."""
    return {
        "snapshot": "",
        **no_histograms(),
        "growth": [],
        "drift": {},
        "this_update": {
            "new": 0,
            "relabelled": 0,
            "regrouped": 0,
            "moved": 0,
            "refamilied": 0,
            "re_extracted": {},
            "vectors": {},
            "failures": {},
            "verdicts": 0,
            "new_rejects": 0,
            "orphans": 0,
            "rejects": 0,
            "unsupported": 0,
            "drift": {},
        },
    }
