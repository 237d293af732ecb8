"""The cluster lives through whatever is done to it and its updates."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.cluster.compose import docker
from tests.system.cluster.harness import Lab
from tests.system.soak.cluster import ClusterHouse
from tests.system.soak.offers import Offers
from tests.system.soak.sitting import Sitting, live_through

pytestmark = pytest.mark.timeout(3 * 3600)


def test_every_sample_is_there_once_and_nothing_is_left_over(lab: Lab, tmp_path: Path):
    sitting = Sitting.asked_for()
    offers = Offers(tmp_path / "in", sitting.seed)
    house = ClusterHouse(lab, offers, sitting.seed)
    faults = [*live_through(house, offers, sitting), *house.secrets_left()]
    assert not faults, "\n".join(["", *faults])
    # What looks for leaks finds them: a container, and the folder of a task.
    scratch = lab.cluster.place / "scratch"
    container = docker("create", "--label", f"corpus.scratch={scratch}", "corpus-redis").strip()
    folder = scratch / ("a" * 32)
    folder.mkdir()
    try:
        assert house.left_over() == [f"container {container[:12]}", f"scratch folder {folder.name}"]
    finally:
        docker("rm", container)
        folder.rmdir()
