"""The embedded Airflow lives through whatever is done to it and its updates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.system.soak.embedded import EmbeddedHouse
from tests.system.soak.left_over import secrets_in
from tests.system.soak.offers import Offers
from tests.system.soak.sitting import Sitting, live_through

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(3 * 3600)]


SECRET = "a password of archives"


def test_every_sample_is_there_once_and_nothing_is_left_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sitting = Sitting.asked_for()
    offers = Offers(tmp_path / "in", sitting.seed)
    work, temporary = tmp_path / "work", tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("CORPUS_SHARDS__MIN_FILES", "1")
    # Every service gets it, and none may leave it anywhere.
    monkeypatch.setenv("CORPUS_SOURCES__ARCHIVE_PASSWORDS", json.dumps([SECRET]))
    house = EmbeddedHouse(work, temporary, offers)
    try:
        faults = live_through(house, offers, sitting)
    finally:
        left = house.stop()
    faults += [*left, *secrets_in(work, [SECRET])]
    assert not faults, "\n".join(["", *faults])
