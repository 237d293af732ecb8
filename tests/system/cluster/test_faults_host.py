"""The host itself: its scratch disk is full, its Docker engine is restarted."""

from __future__ import annotations

import pytest

from deploy.local.cluster.compose import docker
from tests.support.engine import engine
from tests.support.small_disk import fill
from tests.system.cluster.harness import Lab, Update
from tests.system.cluster.harness_faults import measured
from tests.system.cluster.harness_wait import until

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def update(lab: Lab, undisturbed: Update) -> Update:
    return lab.update()


def test_the_scratch_disk_is_full_until_somebody_clears_it(lab: Lab, update: Update, expected: str):
    scratch = lab.cluster.place / "scratch"
    if not scratch.is_mount():
        pytest.skip("only root can give the cluster a small disk to fill")
    update.container("ingest")
    filler = scratch / "filler"
    try:
        with measured(update, "scratch disk full", expected):
            fill(filler)
            failed = until(
                "a task that finds no room",
                lambda: [one for one in update.tasks() if one["state"] == "up_for_retry"],
                300,
            )
            said = [line for one in failed for line in update.log(one)]
            filler.unlink()
    finally:
        filler.unlink(missing_ok=True)
    # As the worker says it, or a service.
    full = ("the disk is full", "No space left on device")
    assert any(words in line for line in said for words in full), said


@pytest.mark.alone
def test_the_engine_is_restarted(lab: Lab, update: Update, expected: str):
    status = engine("status")
    if "started by somebody else" in status.stdout:
        pytest.skip(f"whoever started the engine has to restart it: {status.stdout.strip()}")
    if docker("info", "--format", "{{.LiveRestoreEnabled}}").strip() != "true":
        pytest.skip("without live-restore an engine takes all its containers with it")
    container = update.container("extract")
    with measured(update, "restart of the Docker engine", expected):
        engine("restart").check_returncode()
    # Its container lived on, and its task waited for the engine.
    assert update.task(container.task)["try_number"] == 1
    runs = [one for one in update.containers() if one.task == container.task]
    assert len(runs) == len({one.step for one in runs})
