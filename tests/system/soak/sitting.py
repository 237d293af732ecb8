"""One soak from its beginning to its end: the acts, what a person tidies up, the last update, the check."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from deploy.common.shell import say
from deploy.local.update import DAG
from tests.system.soak.actor import Actor
from tests.system.soak.end_check import corpus_faults, settle, tidy
from tests.system.soak.failures import failures
from tests.system.soak.house import House
from tests.system.soak.offers import Offers
from tests.system.soak.plan import FEWEST, SERVICES, Act, piece, plan

FULL_ACTS = 300
# Longer than the reaper takes: its grace, and two passes.
_REMOVAL_S = 240
# Airflow's words for tasks that are not over.
_OPEN = (
    *("scheduled", "queued", "running", "restarting", "up_for_retry", "up_for_reschedule"),
    "deferred",
)


@dataclass(frozen=True)
class Sitting:
    """What was asked for: SEED=n ACTS=n FULL=1, and PIECE=k/n for the k-th of n parts of it."""

    seed: int
    acts: int
    number: int
    of: int

    @classmethod
    def asked_for(cls) -> Sitting:
        given = os.environ.get
        acts = int(given("ACTS") or (FULL_ACTS if given("FULL") else FEWEST))
        number, _, of = (given("PIECE") or "1/1").partition("/")
        return cls(int(given("SEED") or 1), acts, int(number), int(of))

    def plan(self, parts: tuple[str, ...]) -> list[Act]:
        return list(piece(plan(self.seed, self.acts, parts), self.number, self.of))

    def __str__(self) -> str:
        cut = f", piece {self.number} of {self.of}" if self.of > 1 else ""
        return f"SEED={self.seed} ACTS={self.acts}{cut}"


def live_through(house: House, offers: Offers, sitting: Sitting) -> list[str]:
    """Do what was asked for, then look for what is wrong; Airflow runs on. Returns the faults."""
    acts = sitting.plan(house.parts)
    began = datetime.now(UTC)
    say(f"\n{sitting}: {len(acts)} acts")
    actor = Actor(house, offers, say)
    try:
        actor.do(acts)
    finally:
        say("\n".join(table(acts, actor.done)))
    return [*_quiet(actor, house, began), *corpus_faults(house.store, offers.offered)]


def _quiet(actor: Actor, house: House, began: datetime) -> Iterator[str]:
    """Bring all to rest as a person would, with a last update that nothing disturbs; what is wrong then."""
    actor.until("the end of all updates", lambda: not actor.unfinished(), 1)
    for line in settle(house.store):
        say(f"  {line}")
    run = actor.start()
    actor.until("the end of the last update", lambda: not actor.unfinished(), 1)
    if (state := actor.until("its state", lambda: house.api.run_state(DAG, run))) != "success":
        yield f"the last update, which nothing disturbed, ended as {state}: {run}"
    say(f"  tidied up: {tidy(house.store)}")
    counts, unexplained = actor.until("the logs", lambda: failures(house.api, began))
    ways = ", ".join(f"{way} {count}" for way, count in counts.most_common())
    say(f"  tasks that failed in the end: {ways or 'none'}")
    yield from unexplained
    params = {"state": _OPEN, "limit": 100}
    found = actor.until(
        "all tasks",
        lambda: house.api.call("GET", "dags/~/dagRuns/~/taskInstances", params=params),
    )
    for task in found["task_instances"]:
        yield f"a task is {task['state']} though no run is: {task['dag_run_id']} {task['task_id']}"
    if ailing := house.ailing():
        yield ailing
    yield from _stays(house)


def _stays(house: House) -> list[str]:
    """What is left over, once those whose work it is have had the time to remove it."""
    deadline = time.monotonic() + _REMOVAL_S
    while (left := house.left_over()) and time.monotonic() < deadline:
        house.watch()
        time.sleep(1)
    return left


def table(asked: list[Act], done: list[Act]) -> list[str]:
    """How many acts of each kind, and how many kills of each service, were asked for and done."""
    wanted, had = Counter(map(_row, asked)), Counter(map(_row, done))
    order = [f"kill {service}" for service in SERVICES]
    rows = sorted(wanted, key=lambda row: (order.index(row) if row in order else len(order), row))
    return [
        "",
        "| act | done | of |",
        "|---|---|---|",
        *(f"| {row} | {had[row]} | {wanted[row]} |" for row in rows),
        f"| all | {had.total()} | {wanted.total()} |",
        "",
    ]


def _row(act: Act) -> str:
    return f"{'kill' if act.kind == 'kill' else 'kill part' if act.kind == 'part' else act.kind} {act.target}"
