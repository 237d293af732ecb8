"""Drift of feature vectors: how far an update's vectors lie from those published before.

Vectors have hundreds of dimensions, so each feature group is watched through two scalars of a
vector: the mean of the group's values and their L2 norm, both as sign(x) * log(1 + |x|), rounded to
six decimals so that another processor's last bit cannot move a value over a bin's edge.

The reference keeps no vectors, only counts per bin. Its bins are the deciles of the first
`REFERENCE_SIZE` or more vectors and then stay; until there are that many, their scalars are kept.
It counts every vector ever published: one that was extracted again counts again.

    reference = {"vectors": n, "groups": {group: {scalar: {"edges": [...], "counts": [...]}}}}
    before there are enough:  {"vectors": n, "pending": {group: {scalar: [values]}}}

The measure is the population stability index, sum over bins of (a - e) * ln(a / e) for shares a and
e, as in N. Siddiqi, Credit Risk Scorecards (Wiley, 2006); there, above 0.1 is some and above 0.25 a
marked shift. An empty bin takes the usual share of 0.0001.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from corpus.store.statistics import Bins, Reference

REFERENCE_SIZE = 200
EPSILON = 1e-4
_DECIMALS = 6

Floats = npt.NDArray[np.float64]
Scalars = dict[str, dict[str, Floats]]
Binned = dict[str, dict[str, Bins]]


class Group(Protocol):
    """A named range of a vector's dimensions, from `start` to before `stop`; `corpus.features` defines them."""

    @property
    def name(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def stop(self) -> int: ...


def scalars(vectors: npt.NDArray[np.float32], groups: Iterable[Group]) -> Scalars:
    """The scalars of float32 `vectors` [n, dim]: {group: {"mean": float64 [n], "norm": float64 [n]}}."""
    found: Scalars = {}
    for group in groups:
        values = vectors[:, group.start : group.stop].astype(np.float64)
        found[group.name] = {
            "mean": _signed_log(values.mean(axis=1)),
            "norm": _signed_log(np.sqrt((values * values).sum(axis=1))),
        }
    return found


def _signed_log(values: Floats) -> Floats:
    # Adding 0.0 turns -0.0 into 0.0, which JSON would tell apart.
    return np.asarray(
        np.round(np.sign(values) * np.log1p(np.abs(values)), _DECIMALS) + 0.0, np.float64
    )


def no_reference() -> Reference:
    """The reference of a feature set that no vector was published of."""
    return {"vectors": 0, "pending": {}}


def extended(reference: Reference, parts: Sequence[Scalars]) -> Reference:
    """The reference with the scalars of an update's vectors added, as `scalars` gives them.

    Each part is {group: {"mean": float64 [n], "norm": float64 [n]}}, with an n of its own. The order of `parts` makes no difference. The reference that was handed in stays as it is.
    """
    new = _merged(parts)
    total = reference["vectors"] + _count(new)
    if "groups" in reference:
        groups: Binned = {
            group: {
                name: {
                    "edges": bins["edges"],
                    "counts": (
                        np.asarray(bins["counts"]) + _histogram(new, group, name, bins["edges"])
                    ).tolist(),
                }
                for name, bins in named.items()
            }
            for group, named in reference["groups"].items()
        }
        return {"vectors": total, "groups": groups}
    pending = _merged([_arrays(reference.get("pending", {})), new])
    if total < REFERENCE_SIZE:
        kept = {
            group: {name: np.sort(values).tolist() for name, values in named.items()}
            for group, named in pending.items()
        }
        return {"vectors": total, "pending": kept}
    fixed: Binned = {}
    for group, named in pending.items():
        fixed[group] = {}
        for name, values in named.items():
            edges = decile_edges(values)
            counts = _histogram(pending, group, name, edges)
            fixed[group][name] = {"edges": edges, "counts": counts.tolist()}
    return {"vectors": total, "groups": fixed}


def decile_edges(values: Floats) -> list[float]:
    """Inner edges, ascending, of about ten bins of equal count, of one or more values float64 [n].

    Bin i holds edges[i-1] <= value < edges[i]. At most 18 edges: a decile, or a decile and its next.
    A value that fills whole deciles alone (a group that is zero for most files) gets a bin of its own,
    so that both more and less than it shows.
    """
    deciles = np.round(np.quantile(values, np.arange(1, 10) / 10), _DECIMALS) + 0.0
    edges: set[float] = set()
    distinct, times = np.unique(deciles, return_counts=True)
    for value, repeated in zip(distinct.tolist(), times.tolist(), strict=True):
        edges.add(value)
        if repeated > 1:
            edges.add(value + 0.5 * 10.0**-_DECIMALS)
    return sorted(edges)


def indexes(reference: Reference, parts: Sequence[Scalars]) -> dict[str, float]:
    """PSI of each feature group (0 or more, no unit), the larger of its two scalars'.

    Empty while the bins of the reference are not fixed, or if there are no new vectors.
    """
    if "groups" not in reference:
        return {}
    new = _merged(parts)
    if not _count(new):
        return {}
    return {
        group: max(
            psi(np.asarray(bins["counts"]), _histogram(new, group, name, bins["edges"]))
            for name, bins in named.items()
        )
        for group, named in reference["groups"].items()
    }


def psi(expected: npt.NDArray[np.int64], actual: npt.NDArray[np.int64]) -> float:
    """Population stability index of two histograms, int64 [bins] each, over the same bins.

    0 means the same shares. Neither histogram may be empty: its counts must not all be 0.
    """
    e = np.maximum(expected / expected.sum(), EPSILON)
    a = np.maximum(actual / actual.sum(), EPSILON)
    return float(((a - e) * np.log(a / e)).sum())


def _histogram(
    new: Scalars, group: str, name: str, edges: Sequence[float]
) -> npt.NDArray[np.int64]:
    values = new.get(group, {}).get(name, np.empty(0))
    places = np.searchsorted(np.asarray(edges), values, side="right")
    return np.bincount(places, minlength=len(edges) + 1)


def _arrays(named: dict[str, dict[str, list[float]]]) -> Scalars:
    return {g: {n: np.asarray(v, np.float64) for n, v in s.items()} for g, s in named.items()}


def _merged(parts: Sequence[Scalars]) -> Scalars:
    found: dict[str, dict[str, list[Floats]]] = {}
    for part in parts:
        for group, named in part.items():
            for name, values in named.items():
                found.setdefault(group, {}).setdefault(name, []).append(values)
    return {g: {n: np.concatenate(v) for n, v in s.items()} for g, s in found.items()}


def _count(new: Scalars) -> int:
    return next((len(values) for named in new.values() for values in named.values()), 0)
