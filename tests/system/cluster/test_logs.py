"""Task logs in the UI, whichever worker wrote them, and after it is gone."""

from __future__ import annotations

import pytest

from deploy.local.cluster.compose import docker
from tests.system.cluster.harness import Lab, Update, task_name
from tests.system.cluster.harness_faults import go_on
from tests.system.cluster.harness_wait import until

pytestmark = pytest.mark.timeout(1200)


def test_the_log_of_a_task_is_read_while_it_runs(lab: Lab):
    update = lab.update()
    container = update.held("extract")

    def said() -> bool:
        lines = update.log(update.task(container.task))
        return any(line.startswith("corpus extract ") for line in lines)

    until("the first line of a task that runs", said, 60)
    assert update.task(container.task)["state"] == "running"
    go_on(container.id)


def test_the_logs_of_a_worker_that_no_longer_exists_are_read(lab: Lab, undisturbed: Update):
    alive = {one.id[:12]: one.id for one in lab.cluster.containers("worker")}
    ran = {task["hostname"] for task in undisturbed.tasks()}
    # Another test may have replaced the workers meanwhile.
    gone = ran - alive.keys() or {min(ran)}
    for host in gone & alive.keys():
        docker("stop", alive[host])
        docker("rm", alive[host])
    try:
        theirs = [one for one in undisturbed.tasks() if one["hostname"] in gone]
        assert theirs
        for task in theirs:
            lines = undisturbed.log(task)
            service = task["task_id"].replace("_", "-")
            assert any(line.startswith(f"corpus {service} ") for line in lines), lines
            assert any("exit status 0" in line for line in lines), lines
            assert not any("Could not read" in line for line in lines), task_name(task)
    finally:
        lab.cluster.up()
