"""What users do to a task in the UI: mark it failed, mark its run failed, clear it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.system.cluster.harness import Lab, Update
from tests.system.cluster.harness_events import Seen
from tests.system.cluster.harness_faults import go_on, hang
from tests.system.cluster.harness_report import Measurement, note
from tests.system.cluster.harness_wait import until

pytestmark = pytest.mark.timeout(1200)


def test_a_task_that_is_marked_failed_leaves_no_container(lab: Lab):
    def mark(update: Update, container: Seen) -> None:
        task = update.task(container.task)
        path = f"dags/{update.dag}/dagRuns/{update.run_id}/taskInstances/{task['task_id']}"
        lab.api.call("PATCH", f"{path}/{task['map_index']}", json={"new_state": "failed"})

    update, container = _gone_after(lab, "a task marked failed", mark)
    assert update.wait() == "failed"
    assert update.task(container.task)["try_number"] == 1
    update.must_leave_nothing()


def test_a_run_that_is_marked_failed_leaves_no_container(lab: Lab):
    def mark(update: Update, container: Seen) -> None:
        path = f"dags/{update.dag}/dagRuns/{update.run_id}"
        lab.api.call("PATCH", path, json={"state": "failed"})

    update, _ = _gone_after(lab, "a run marked failed", mark)
    assert update.wait() == "failed"
    update.must_leave_nothing()


def test_a_task_that_is_cleared_runs_again(lab: Lab, expected: str):
    update = lab.update()
    update.must_succeed(expected)
    before = {one.id for one in update.containers()}
    lab.api.call(
        "POST",
        f"dags/{update.dag}/clearTaskInstances",
        json={
            "dry_run": False,
            "dag_run_id": update.run_id,
            "task_ids": [["extract", 0]],
            "only_failed": False,
            "reset_dag_runs": True,
        },
    )
    until("the run's new begin", lambda: update.state() in ("queued", "running"), 60)
    update.must_succeed(expected)
    again = [one for one in update.containers() if one.id not in before]
    assert [(one.task, one.step) for one in again] == [
        ("extract[0]", step) for step in ("stage-in", "run", "stage-out")
    ]
    assert update.task("extract[0]")["try_number"] == 2


def _gone_after(lab: Lab, what: str, mark: Callable[[Update, Seen], None]) -> tuple[Update, Seen]:
    """Mark a task whose container hangs, and wait until the engine has no container of it."""
    update = lab.update()
    container = update.held("extract")
    hang(container.id)
    go_on(container.id)
    began = time.monotonic()
    mark(update, container)
    until("the end of its container", lambda: not lab.watch.exists(container), 120, pause=0.1)
    note(Measurement(f"{what}: its container gone", time.monotonic() - began))
    return update, container
