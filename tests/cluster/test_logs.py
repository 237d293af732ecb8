"""Task logs in the UI, whichever worker wrote them, and after it is gone."""

from __future__ import annotations

import pytest

from deploy.cluster.compose import docker
from tests.cluster.harness import Lab, Update, task_name

pytestmark = pytest.mark.timeout(1200)


def test_the_logs_of_a_worker_that_no_longer_exists_are_read(lab: Lab, undisturbed: Update):
    gone = lab.cluster.containers("worker")[0].id
    docker("stop", gone)
    docker("rm", gone)
    try:
        theirs = [one for one in undisturbed.tasks() if gone.startswith(one["hostname"])]
        assert theirs
        for task in theirs:
            lines = undisturbed.log(task)
            service = task["task_id"].replace("_", "-")
            assert any(line.startswith(f"corpus {service} ") for line in lines), lines
            assert any("exit status 0" in line for line in lines), lines
            assert not any("Could not read" in line for line in lines), task_name(task)
    finally:
        lab.cluster.up()
