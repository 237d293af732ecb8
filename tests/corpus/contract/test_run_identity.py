from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest

from corpus.contract.run_identity import run_uuid, update_id

pytestmark = pytest.mark.fast

RUN = "scheduled__2026-01-31T00:00:00+00:00"


def test_a_run_has_one_uuid_for_ever() -> None:
    """Manifests and logs of the past hold it: it must never come out differently."""
    assert run_uuid("corpus_update", RUN) == "54013695-3297-569e-9023-8cc06c171629"
    assert uuid.UUID(run_uuid("corpus_update", RUN)).version == 5


def test_other_runs_have_others() -> None:
    assert len({run_uuid(dag, run) for dag in ("a", "b") for run in ("1", "2")}) == 4


def test_an_update_is_named_after_time_in_utc_and_run() -> None:
    began = datetime(2026, 1, 31, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert update_id(began, "1a2b3c4d-0000-5000-8000-000000000000") == "20260130T233000-1a2b3c4d"
    assert update_id(began, "x" * 9) == update_id(began.astimezone(UTC), "x" * 9)
