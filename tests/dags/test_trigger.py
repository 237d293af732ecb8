"""What Airflow's API does with a run that cannot be, and what the scheduler does with it before any task."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.api_fastapi.app import create_app, get_auth_manager, purge_cached_app
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models import DagModel, DagRun
from airflow.models.backfill import Backfill
from airflow.utils.session import create_session
from fastapi.testclient import TestClient
from sqlalchemy import delete, update

from corpus.contract.run_identity import run_uuid, update_id
from deploy.local.embedded.environment import environment
from operators.scheduling import starts
from operators.settings import WorkerSettings
from tests.support import airflow_home

pytestmark = pytest.mark.usefixtures("airflow_db")

DAG_ID = "corpus_update"
NOW = datetime.now(UTC)
PATTERN = "AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN"
COMPOSE = yaml.safe_load((airflow_home.REPO / "docker" / "compose.yaml").read_text())
PATTERNS = {
    "embedded": environment(Path("/x"), Path("/y"), 1, {}, WorkerSettings())[PATTERN],
    # A dollar sign in a compose file stands for itself only if there are two.
    "compose": COMPOSE["x-environment"][PATTERN].replace("$$", "$"),
}


@dataclass
class Airflow:
    """Airflow's real API server on a real database, and its scheduler, a step at a time."""

    client: TestClient

    def post(self, path: str, **body: Any) -> tuple[int, Any]:
        answer = self.client.post(f"/api/v2/{path}", json=body)
        return answer.status_code, answer.json()

    def trigger(self, dag_id: str = DAG_ID, **body: Any) -> tuple[int, Any]:
        return self.post(f"dags/{dag_id}/dagRuns", **{"logical_date": None, **body})

    def started(self, dag_id: str = DAG_ID, **body: Any) -> dict[str, Any]:
        """A run that is triggered, as the API shows it once the scheduler has started it."""
        status, run = self.trigger(dag_id, **body)
        assert status == 200, run
        return self.scheduled(dag_id, run["dag_run_id"])

    def scheduled(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """A queued run, once the scheduler has looked at it: SQLite's clock has whole seconds."""
        while (run := self.run(dag_id, run_id))["state"] == "queued":
            with create_session() as session:
                SchedulerJobRunner(job=Job())._start_queued_dagruns(session)
            time.sleep(0.1)
        return run

    def clear(self, run_id: str) -> dict[str, Any]:
        """A run of the master DAG that is cleared, once the scheduler has looked at it again."""
        body = {"dry_run": False, "only_failed": False}
        status, answer = self.post(f"dags/{DAG_ID}/dagRuns/{run_id}/clear", **body)
        assert status == 200, answer
        assert self.run(DAG_ID, run_id)["state"] == "queued"
        return self.scheduled(DAG_ID, run_id)

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")
        assert answer.status_code == 200
        return dict(answer.json())


@pytest.fixture(scope="module")
def client(airflow_db: None) -> Iterator[TestClient]:
    DagBundlesManager().sync_bundles_to_db()
    with create_session() as session:
        sync_bag_to_db(DagBag(airflow_home.REPO / "dags"), "dags-folder", None, session=session)
    with TestClient(create_app(apps="core"), base_url="http://testserver") as client:
        token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="a", role="ADMIN"))
        client.headers["Authorization"] = f"Bearer {token}"
        yield client
    purge_cached_app()


@pytest.fixture
def airflow(client: TestClient) -> Iterator[Airflow]:
    """With our DAGs unpaused, and no run of them before and after."""
    _clean(paused=False)
    yield Airflow(client)
    _clean(paused=True)


def _clean(*, paused: bool) -> None:
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id.in_(starts.DAG_IDS)))
        session.execute(delete(Backfill))
        session.execute(
            update(DagModel).where(DagModel.dag_id.in_(starts.DAG_IDS)).values(is_paused=paused)
        )


def test_it_looks_at_every_dag_of_ours() -> None:
    assert set(DagBag(airflow_home.REPO / "dags").dag_ids) == starts.DAG_IDS


FUTURE = (NOW + timedelta(days=1500)).isoformat()


@pytest.mark.parametrize("dag_id", [DAG_ID, "corpus_label"])
@pytest.mark.parametrize(
    "interval",
    [{}, {"data_interval_start": FUTURE, "data_interval_end": FUTURE}],
    ids=["date", "interval"],
)
def test_a_run_of_the_future_ends_at_once_and_the_next_one_starts(
    dag_id: str, interval: dict[str, str], airflow: Airflow
) -> None:
    run = airflow.started(dag_id, logical_date=FUTURE, note="For 2030", **interval)
    assert run["state"] == "failed"
    assert run["end_date"]
    assert run["note"].startswith(f"Refused: the logical date {FUTURE[:10]}")
    assert run["note"].endswith("For 2030")
    assert airflow.started(dag_id)["state"] == "running"


def test_a_run_of_the_future_that_is_cleared_ends_again(airflow: Airflow) -> None:
    run = airflow.started(logical_date=FUTURE)
    assert airflow.clear(run["dag_run_id"])["state"] == "failed"


@pytest.mark.parametrize("ahead", [timedelta(days=-700), timedelta(), timedelta(seconds=90)])
def test_a_run_of_the_past_and_of_a_clock_that_is_ahead_starts(
    ahead: timedelta, airflow: Airflow
) -> None:
    run = airflow.started(logical_date=(datetime.now(UTC) + ahead).isoformat())
    assert (run["state"], run["note"]) == ("running", None)


@pytest.mark.parametrize(
    ("dag_id", "conf", "told"),
    [
        (DAG_ID, {"limits": 5}, "Did you mean `limit`?"),
        # Airflow cannot hand such a number to a task: it would die without a log, and be tried again.
        (DAG_ID, {"limit": 5, "limits": 2**70}, "Did you mean `limit`?"),
        ("corpus_publish", {"dryrun": True}, "Did you mean `dry_run`?"),
        ("corpus_group", {"ticket": "A-1"}, "The params of this DAG are: update."),
    ],
)
def test_a_run_with_an_unknown_key_ends_at_once(
    dag_id: str, conf: dict[str, Any], told: str, airflow: Airflow
) -> None:
    run = airflow.started(dag_id, conf=conf)
    assert run["state"] == "failed"
    assert told in run["note"]


@pytest.mark.parametrize(
    ("conf", "told"),
    [
        ({"limit": 2**70}, "greater than the maximum of 1000000000"),
        ({"malicious_threshold": 2**70}, "greater than the maximum of 100"),
        ({"min_report_age_days": 2**70}, "greater than the maximum of 3650"),
        ({"limit": 1.5}, "1.5 is not of type 'null', 'integer'"),
        ({"since": "2026-02-30"}, "is not a 'date'"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_the_api(
    conf: dict[str, Any], told: str, airflow: Airflow
) -> None:
    status, answer = airflow.trigger(conf=conf)
    assert status == 400
    assert told in answer["detail"]


def test_a_whole_number_may_have_a_point(airflow: Airflow) -> None:
    run = airflow.started(conf={"limit": 1.0})
    assert (run["state"], run["conf"]) == ("running", {"limit": 1.0})


def test_a_backfill_is_refused_and_the_ui_offers_none(airflow: Airflow) -> None:
    span = {"from_date": "2026-01-01T00:00:00Z", "to_date": "2026-01-03T00:00:00Z"}
    for path in ("backfills", "backfills/dry_run"):
        status, answer = airflow.post(path, dag_id=DAG_ID, **span)
        assert status == 400, answer
        assert "does not allow backfill runs" in answer["detail"]
    details = airflow.client.get(f"/api/v2/dags/{DAG_ID}/details").json()
    assert details["is_backfillable"] is False
    # A service alone has no schedule, so it has no days to fill.
    assert airflow.post("backfills", dag_id="corpus_label", **span)[0] == 422


@pytest.mark.parametrize(
    "body",
    [
        {"run_after": "2020-01-01T00:00:00Z"},
        {"logical_date": "2020-01-01T00:00:00Z", "dag_run_id": "manual__2020-01-01T00:00:00+00:00"},
        {},
    ],
    ids=["run-after", "logical-date", "as-usual"],
)
def test_an_update_is_named_after_the_start_of_its_run(
    body: dict[str, str], airflow: Airflow
) -> None:
    """So that snapshots sort as they were published, whatever a caller gave and however long a run waited."""
    run = airflow.started(**body)
    assert run["state"] == "running"
    assert run["run_after"] == run["start_date"]
    began = datetime.fromisoformat(run["run_after"])
    assert began >= NOW
    # The name stays when the run is cleared, and starts another time.
    name = update_id(began, run_uuid(DAG_ID, run["dag_run_id"]))
    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.dag_id == DAG_ID).values(state="success"))
    again = airflow.clear(run["dag_run_id"])
    assert again["state"] == "running"
    assert again["start_date"] > run["start_date"]
    began = datetime.fromisoformat(again["run_after"])
    assert update_id(began, run_uuid(DAG_ID, run["dag_run_id"])) == name


def test_both_kinds_of_airflow_take_the_same_run_ids() -> None:
    assert PATTERNS["embedded"] == PATTERNS["compose"]


@pytest.mark.parametrize(
    "run_id",
    ["x" * 201, "x" * 250, "a b", "a/b", "a\n", "ü", ""],
    ids=["201", "250", "space", "slash", "line-break", "umlaut", "empty"],
)
def test_a_run_id_that_no_log_can_be_named_after_is_refused(
    run_id: str, airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PATTERN, PATTERNS["compose"])
    status, answer = airflow.trigger(dag_run_id=run_id)
    if run_id:
        assert status == 400, answer
        assert "does not match regex pattern" in answer["detail"]
    else:
        # As if none were given: Airflow makes one.
        assert (status, answer["dag_run_id"][:8]) == (200, "manual__")


@pytest.mark.parametrize("run_id", ["x" * 200, "v1.2~rc:3+b_4-5", "manual__x"])
def test_other_run_ids_start(
    run_id: str, airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PATTERN, PATTERNS["compose"])
    assert airflow.started(dag_run_id=run_id)["state"] == "running"


def test_run_ids_that_airflow_makes_match() -> None:
    for run_id in (
        "manual__2026-11-30T12:34:56.123456+00:00",
        "manual__2026-11-30T12:34:56.123456+00:00_aB3dE6gH",
        "scheduled__2026-11-30T00:00:00+00:00",
        "asset_triggered__2026-11-30T00:00:00.123456+00:00_aB3dE6gH",
        "backfill__2026-11-30T00:00:00+00:00",
    ):
        assert re.match(PATTERNS["compose"], run_id), run_id
