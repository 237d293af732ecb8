"""What is done to an Airflow and its updates, and in which order: a seed alone decides it, and repeats it."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# In the order in which an update runs them.
SERVICES = (
    *("collect", "import-verdicts", "ingest", "label", "extract", "group", "split"),
    *("validate", "publish"),
)
# A kill of a service meets one of these: the process of its task, or what the task has started.
VICTIMS = ("task", "service")
# Which run or task each of the other acts is done to. A run that runs cannot be deleted: who wants it gone marks it
# failed first (`stopped`), and what it has started may still be ending when it goes.
TARGETS = {
    "trigger": ("update",),
    "clear": ("run", "task", "shard"),
    "delete": ("queued", "ended", "stopped"),
    "mark": ("task failed", "task success", "run failed", "run success"),
    "pause": ("dag",),
}
# What is done beside kills of services, again and again in another order.
_CYCLE = ("part", "trigger", "clear", "delete", "mark", "pause", "clear", "delete", "mark")
# Of all acts one in so many is a kill of a given service: 20 of each in 300.
_ACTS_A_KILL = 15
# A task has four tries; the fifth kill in one run would have nothing to meet.
_KILLS_A_RUN = 3
FEWEST = len(SERVICES) + len(_CYCLE)


@dataclass(frozen=True)
class Act:
    """One thing to do.

    :param kind: `kill`, `part`, or a key of `TARGETS`.
    :param target: the service or the part to kill, or one of `TARGETS`.
    :param at: 0 to 1: which one of several there are, and of a kill how far into its work.
    :param victim: of a kill, one of `VICTIMS`.
    """

    kind: str
    target: str
    at: float
    victim: str = ""

    def __str__(self) -> str:
        if self.kind == "kill":
            return f"kill {self.target} ({self.victim})"
        return f"kill part {self.target}" if self.kind == "part" else f"{self.kind} {self.target}"


def plan(seed: int, acts: int, parts: Sequence[str]) -> list[Act]:
    """The acts in order; kills that stand together are done as their services come by.

    Each service is killed `acts // 15` times, once at least, by turns as a task and as what that has started; the
    rest are acts of all other kinds, each target as often as its siblings.

    :param parts: the parts of this Airflow that may be killed.

    Raises `ValueError` for fewer acts than `FEWEST`.
    """
    if acts < FEWEST:
        raise ValueError(f"{acts} acts are too few for one of each kind: {FEWEST} at least")
    rng = random.Random(seed)
    each = max(1, acts // _ACTS_A_KILL)
    ordered = list(_kills(rng, each))
    for act in itertools.islice(_others(rng, parts), acts - len(ordered)):
        ordered.insert(rng.randint(0, len(ordered)), act)
    return ordered


def piece(ordered: Sequence[Act], number: int, of: int) -> Sequence[Act]:
    """The acts of one of several sittings: `number` counts from 1."""
    cuts = [len(ordered) * n // of for n in range(of + 1)]
    return ordered[cuts[number - 1] : cuts[number]]


def _kills(rng: random.Random, each: int) -> Iterator[Act]:
    """Kills, about one of each service in a run; those of a run in the order of the services."""
    runs: list[list[Act]] = [[] for _ in range(each)]
    for service in SERVICES:
        met: Counter[int] = Counter()
        first = rng.randrange(len(VICTIMS))
        for number in range(each):
            run = rng.choice([one for one in range(each) if met[one] < _KILLS_A_RUN])
            met[run] += 1
            victim = VICTIMS[(first + number) % len(VICTIMS)]
            runs[run].append(Act("kill", service, rng.random(), victim))
    return itertools.chain.from_iterable(runs)


def _others(rng: random.Random, parts: Sequence[str]) -> Iterator[Act]:
    """All other kinds of acts, without end."""
    targets = {
        kind: itertools.cycle(rng.sample(choices, len(choices)))
        for kind, choices in {**TARGETS, "part": tuple(parts)}.items()
    }
    while True:
        for kind in rng.sample(_CYCLE, len(_CYCLE)):
            yield Act(kind, next(targets[kind]), rng.random())
