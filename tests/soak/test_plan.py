"""The acts of a soak, which a seed alone decides."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.system.soak.plan import FEWEST, SERVICES, TARGETS, Act, piece, plan

pytestmark = pytest.mark.fast

PARTS = ("scheduler", "api-server", "triggerer")


def kills(acts: list[Act]) -> list[Act]:
    return [act for act in acts if act.kind == "kill"]


def test_a_seed_repeats_its_acts_and_another_has_others():
    assert plan(7, 300, PARTS) == plan(7, 300, PARTS)
    assert plan(7, 300, PARTS) != plan(8, 300, PARTS)


@pytest.mark.parametrize("seed", range(20))
def test_three_hundred_acts_kill_each_service_twenty_times_and_do_all_else_evenly(seed):
    acts = plan(seed, 300, PARTS)
    assert len(acts) == 300
    met = Counter((act.target, act.victim) for act in kills(acts))
    assert met == {(s, victim): 10 for s in SERVICES for victim in ("task", "service")}
    others = Counter((act.kind, act.target) for act in acts if act.kind != "kill")
    for kind, targets in {**TARGETS, "part": PARTS}.items():
        counts = [others[kind, target] for target in targets]
        assert min(counts) >= 4, kind
        assert max(counts) - min(counts) <= 1, kind
    assert all(0 <= act.at < 1 for act in acts)


@pytest.mark.parametrize("seed", range(20))
def test_the_shortest_has_every_service_and_every_kind(seed):
    acts = plan(seed, FEWEST, PARTS)
    assert Counter(act.target for act in kills(acts)) == dict.fromkeys(SERVICES, 1)
    assert {act.kind for act in acts} == {"kill", "part", *TARGETS}
    with pytest.raises(ValueError, match=f"{FEWEST} at least"):
        plan(seed, FEWEST - 1, PARTS)


def test_kills_come_in_the_order_of_the_services_and_never_more_than_a_task_has_tries():
    order = [SERVICES.index(act.target) for act in kills(plan(3, 300, PARTS))]
    # A new run begins where an earlier service follows a later one.
    starts = [n for n in range(len(order)) if n == 0 or order[n] < order[n - 1]]
    runs = [order[a:b] for a, b in zip(starts, [*starts[1:], len(order)], strict=True)]
    assert len(runs) <= 20
    assert max(max(Counter(run).values()) for run in runs) <= 6


@pytest.mark.parametrize("of", [1, 4, 7])
def test_pieces_are_the_whole(of):
    acts = plan(1, 100, PARTS)
    assert [act for n in range(1, of + 1) for act in piece(acts, n, of)] == acts
