"""Which runs are refused before a task starts, and what they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from operators.scheduling.refusal import refusal

pytestmark = pytest.mark.fast

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
PARAMS = ["since", "until", "limit", "note"]


@pytest.mark.parametrize(
    "date",
    [
        None,
        NOW - timedelta(days=400),
        NOW,
        NOW + timedelta(minutes=2),
        NOW.astimezone(timezone(timedelta(hours=9))),
    ],
)
def test_a_run_of_now_or_the_past_may_start(date: datetime | None) -> None:
    assert refusal({}, PARAMS, date, NOW) is None


@pytest.mark.parametrize("ahead", [timedelta(minutes=2, seconds=1), timedelta(days=1500)])
def test_a_run_of_the_future_is_told_what_to_do(ahead: timedelta) -> None:
    told = refusal({}, PARAMS, NOW + ahead, NOW)
    assert told is not None
    assert f"the logical date {NOW + ahead:%Y-%m-%d %H:%M} UTC is in the future" in told
    assert "Trigger the run without a logical date." in told


@pytest.mark.parametrize(
    "conf", [{}, {"limit": 1, "note": None}, {"airflow/task_span_detail_level": 2}]
)
def test_known_keys_may_start(conf: dict[str, Any]) -> None:
    assert refusal(conf, PARAMS, None, NOW) is None


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("limits", "there is no param `limits`. Did you mean `limit`?"),
        ("Limit", "there is no param `Limit`. Did you mean `limit`?"),
        ("ticket", "there is no param `ticket`. The params of this DAG are: since, until, limit, note."),
        ("", "there is no param of that name (it has unusual characters)."),
        ("<b>[x](http://evil)", "there is no param of that name (it has unusual characters)."),
        ("x" * 5000, "there is no param of that name (it has unusual characters)."),
    ],
)  # fmt: skip
def test_an_unknown_key_is_named_with_the_nearest(key: str, told: str) -> None:
    found = refusal({"limit": 1, key: 2**70}, PARAMS, None, NOW)
    assert found is not None
    assert told in found
    assert "evil" not in found
    assert len(found) < 500


def test_a_dag_without_params_says_so() -> None:
    assert refusal({"x": 1}, [], None, NOW) == "Refused: there is no param `x`. This DAG has none."
