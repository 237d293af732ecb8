"""Is Airflow's API where a container looks for it? Against servers of this test; a cluster's own are tried with it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deploy.container.health.api import check_execution_api, check_public_api
from deploy.container.health.errors import HealthError, UnreachableError

TASKS = "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"
REAPERS = "CORPUS_REAPER__API_URL"


class Server:
    """Answers as Airflow's API server: the UI's page to whatever it does not know."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, tuple[int, Any]] = {
            "/execution/health": (200, {"status": "healthy"}),
            "/api/v2/version": (200, {"version": "3"}),
        }
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                status, content = outer.answers.get(self.path, (200, "<!doctype html>"))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/execution/health")
                self.end_headers()
                self.wfile.write(
                    (content if isinstance(content, str) else json.dumps(content)).encode()
                )

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", TASKS, REAPERS):
        monkeypatch.delenv(name, raising=False)
    made = Server()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.mark.parametrize("end", ["/execution/", "/execution"])
def test_the_api_that_tasks_report_to_is_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setenv(TASKS, server.url + end)
    check_execution_api()
    assert server.asked == ["/execution/health"]


def test_where_it_follows_from_the_address_of_the_ui_it_is_asked_there(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", server.url)
    check_execution_api()
    assert server.asked == ["/execution/health"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        # The UI answers any address with its page.
        ((200, "<!doctype html>"), "Airflow's execution API is not at {url}: see " + TASKS),
        ((200, {"status": "something else"}), "Airflow's execution API is not at {url}"),
        ((404, {}), "the API answers 404: {url}health; see " + TASKS),
        # Tasks do not follow it.
        ((302, ""), "the API answers 302: {url}health; see " + TASKS),
    ],
)
def test_a_wrong_address_is_named_with_its_setting(
    server: Server, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, Any], said: str
) -> None:
    url = f"{server.url}/wrong/"
    monkeypatch.setenv(TASKS, url)
    server.answers["/wrong/health"] = answer
    with pytest.raises(HealthError) as caught:
        check_execution_api()
    assert type(caught.value) is HealthError
    assert str(caught.value).startswith(said.format(url=url))


def test_an_api_that_is_away_is_waited_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TASKS, "http://127.0.0.1:1/execution/")
    with pytest.raises(
        UnreachableError, match=r"does not answer: http://127\.0\.0\.1:1/execution/"
    ):
        check_execution_api()
    monkeypatch.setenv(TASKS, f"{server.url}/execution/")
    server.answers["/execution/health"] = (502, {})
    with pytest.raises(UnreachableError, match="answers 502"):
        check_execution_api()


def test_a_proxy_that_tasks_would_take_is_tried_and_named(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TASKS, f"{server.url}/execution/")
    monkeypatch.setenv("http_proxy", "http://name:password@127.0.0.1:1")
    with pytest.raises(UnreachableError, match=r"by the proxy 127\.0\.0\.1:1") as caught:
        check_execution_api()
    assert "password" not in str(caught.value)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    check_execution_api()


def test_an_address_of_ipv6_is_found_in_no_proxy(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody listens there; the proxy, which would answer, is not asked.
    monkeypatch.setenv(TASKS, "http://[::1]:1/execution/")
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "localhost,::1")
    with pytest.raises(UnreachableError, match=r"does not answer: http://\[::1\]:1/"):
        check_execution_api()
    assert server.asked == []


def test_the_reapers_api_is_asked_by_no_proxy(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv(REAPERS, f"{server.url}/")
    check_public_api()
    monkeypatch.setenv(REAPERS, f"{server.url}/elsewhere")
    with pytest.raises(HealthError, match=f"Airflow's API is not at {server.url}/elsewhere: see"):
        check_public_api()
