"""The client of Airflow's API, against a server of this test; tests/deploy/local and test_prune_airflow ask a real one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from deploy.common.airflow_api import AirflowApi
from deploy.common.errors import (
    AnswerError,
    BadInputError,
    DagNotParsedError,
    UnavailableError,
)


class Server:
    """Answers with what `answers` holds for a method and path; tokens are numbered, and one may expire."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, list[str]], Any]] = []
        self.logins: list[dict[str, str]] = []
        self.elsewhere: list[str] = []
        self.open = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _any(self) -> None:
                address = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                if address.path == "/auth/token":
                    outer.logins.append(body)
                    self._answer(201, {"access_token": f"token-{len(outer.logins)}"})
                    return
                if address.path == "/elsewhere":
                    outer.elsewhere.append(self.headers.get("Authorization", ""))
                if (
                    not outer.open
                    and self.headers["Authorization"] != f"Bearer token-{len(outer.logins)}"
                ):
                    self._answer(401, {})
                    return
                outer.asked.append((address.path, parse_qs(address.query), body))
                answer = outer.answers.get(f"{self.command} {address.path}", (404, {}))
                if callable(answer):
                    answer = answer(parse_qs(address.query))
                self._answer(*answer)

            do_GET = do_POST = do_PATCH = _any  # noqa: N815

            def _answer(self, status: int, content: Any) -> None:
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_a_password_is_one_or_is_read_from_a_file(server: Server, tmp_path: Path):
    server.answers["GET /api/v2/dags/~/dagRuns"] = (200, {"dag_runs": []})
    (tmp_path / "password").write_text("a secret\n")
    AirflowApi(server.url, "ann", "a word").runs(5)
    AirflowApi(f"{server.url}/", "ben", tmp_path / "password").runs(5)
    assert server.logins == [
        {"username": "ann", "password": "a word"},
        {"username": "ben", "password": "a secret"},
    ]


def test_a_token_that_has_run_out_is_fetched_again(server: Server):
    server.answers["GET /api/v2/dags/~/dagRuns"] = (200, {"dag_runs": [{"state": "failed"}]})
    api = AirflowApi(server.url, "ann", "x")
    assert api.runs(1) == [{"state": "failed"}]
    # Somebody else's login: the token of before is no longer good.
    server.logins.append({})
    assert api.runs(1) == [{"state": "failed"}]
    assert len(server.logins) == 3


def test_the_token_does_not_go_along_with_a_redirect(server: Server):
    server.answers["GET /api/v2/dags/one"] = (302, {})
    with pytest.raises(AnswerError, match="answered 302"):
        AirflowApi(server.url, "ann", "x").call("GET", "dags/one")
    assert server.elsewhere == []


def test_counts_are_asked_of_one_release(server: Server):
    server.answers["GET /api/v2/dags/~/dagRuns"] = (200, {"total_entries": 3})
    server.answers["GET /api/v2/dags"] = (200, {"total_entries": 0})
    api = AirflowApi(server.url, "ann", "x")
    assert (api.runs_on("1.0.0~rc1+2.gabc"), api.dags_of("1.0.0")) == (3, 0)
    assert server.asked[0][1] == {
        "bundle_version": ["1.0.0~rc1+2.gabc"],
        "state": ["queued", "running"],
        "limit": ["1"],
    }


def test_a_run_is_begun_with_what_it_is_given(server: Server):
    server.answers["PATCH /api/v2/dags/one"] = (200, {})
    server.answers["POST /api/v2/dags/one/dagRuns"] = (200, {})
    run_id = AirflowApi(server.url, "ann", "x").trigger("one", {"limit": 2})
    assert run_id.startswith("manual__")
    assert [body for _, _, body in server.asked] == [
        {"is_paused": False},
        {"dag_run_id": run_id, "logical_date": None, "conf": {"limit": 2}},
    ]


@pytest.mark.parametrize("again", [200, 409], ids=["not begun", "begun all the same"])
def test_a_run_that_an_error_of_the_server_met_is_begun_once(server: Server, again: int):
    answers = iter([(500, {}), (again, {})])
    server.answers["PATCH /api/v2/dags/one"] = (200, {})
    server.answers["POST /api/v2/dags/one/dagRuns"] = lambda query: next(answers)
    run_id = AirflowApi(server.url, "ann", "x").trigger("one")
    asked = [body for _, _, body in server.asked if "dag_run_id" in body]
    assert [body["dag_run_id"] for body in asked] == [run_id, run_id]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client waits for half a second, and not for half a minute."""
    monkeypatch.setattr("deploy.common.airflow_api._ANSWER_S", 0.5)


@pytest.mark.usefixtures("impatient")
def test_a_run_whose_begin_is_not_answered_in_time_is_begun_once(server: Server):
    answered = threading.Event()
    begun: list[str] = []

    def begin(query: dict[str, list[str]]) -> tuple[int, Any]:
        begun.append("run")
        if len(begun) == 1:
            answered.wait(30)
        return (200 if len(begun) == 1 else 409), {}

    server.answers["PATCH /api/v2/dags/one"] = (200, {})
    server.answers["POST /api/v2/dags/one/dagRuns"] = begin
    try:
        assert AirflowApi(server.url, "ann", "x").trigger("one").startswith("manual__")
    finally:
        answered.set()
    bodies = [body for _, _, body in server.asked if "dag_run_id" in body]
    assert len({body["dag_run_id"] for body in bodies}) == 1


@pytest.mark.usefixtures("impatient")
def test_a_dag_is_waited_for_while_airflow_is_slow(server: Server):
    slow = threading.Event()
    answers = iter([slow.wait, lambda seconds: None])

    def answer(query: dict[str, list[str]]) -> tuple[int, Any]:
        next(answers)(30)
        return 200, {}

    server.answers["GET /api/v2/dags/one"] = answer
    try:
        AirflowApi(server.url, "ann", "x").wait_for_dag("one")
    finally:
        slow.set()


def test_a_run_that_is_refused_is_not_tried_again(server: Server):
    server.answers["PATCH /api/v2/dags/one"] = (200, {})
    server.answers["POST /api/v2/dags/one/dagRuns"] = (409, {})
    with pytest.raises(AnswerError, match="answered 409"):
        AirflowApi(server.url, "ann", "x").trigger("one")


def test_all_pages_of_a_runs_tasks_are_read(server: Server):
    def page(query: dict[str, list[str]]) -> tuple[int, Any]:
        offset = int(query["offset"][0])
        rows = [{"task_id": str(number)} for number in range(offset, min(offset + 100, 230))]
        return 200, {"task_instances": rows, "total_entries": 230}

    server.answers["GET /api/v2/dags/one/dagRuns/r/taskInstances"] = page
    found = AirflowApi(server.url, "ann", "x").tasks("one", "r")
    assert [task["task_id"] for task in found] == [str(number) for number in range(230)]


def test_a_log_tells_of_exceptions_too(server: Server):
    path = "GET /api/v2/dags/one/dagRuns/r/taskInstances/t/logs/2"
    error = {"exc_type": "ValueError", "exc_value": "bad"}
    server.answers[path] = (
        200,
        {"content": ["plain", {"event": "begins"}, {"event": "ended", "error_detail": [error]}]},
    )
    task = {"task_id": "t", "try_number": 2, "map_index": -1}
    assert AirflowApi(server.url, "ann", "x").log("one", "r", task) == [
        "plain",
        "begins",
        "ended",
        "ValueError: bad",
    ]


def test_a_dag_that_does_not_import_is_told_with_its_error(server: Server):
    broken = {"filename": "one.py", "stack_trace": "SyntaxError: here"}
    server.answers["GET /api/v2/importErrors"] = (200, {"import_errors": [broken]})
    with pytest.raises(DagNotParsedError, match=r"one\.py:\nSyntaxError: here"):
        AirflowApi(server.url, "ann", "x").wait_for_dag("one")


def test_a_dag_that_never_comes_is_told(server: Server):
    server.answers["GET /api/v2/importErrors"] = (200, {"import_errors": []})
    with pytest.raises(DagNotParsedError, match="has not parsed the DAG one in 0 s"):
        AirflowApi(server.url, "ann", "x").wait_for_dag("one", seconds=0)


def test_an_http_error_has_its_status(server: Server):
    with pytest.raises(AnswerError, match="answered 404") as caught:
        AirflowApi(server.url, "ann", "x").run_state("none", "r")
    assert (caught.value.code, caught.value.status) == (404, 75)


def test_nobody_there_and_no_address_are_told_apart():
    with pytest.raises(UnavailableError, match="does not answer"):
        AirflowApi("http://127.0.0.1:1", "ann", "x").runs(1)
    with pytest.raises(BadInputError, match="begin with http"):
        AirflowApi("file:///etc", "ann", "x")


def test_health_is_asked_without_a_log_in(server: Server):
    parts = {"scheduler": {"status": "healthy"}, "triggerer": {"status": None}}
    server.answers["GET /api/v2/monitor/health"] = (200, parts)
    server.open = True
    assert AirflowApi(server.url, "", "").health() == {"scheduler": "healthy", "triggerer": ""}
    assert server.logins == []
    with pytest.raises(UnavailableError):
        AirflowApi("http://127.0.0.1:1", "", "").health()
