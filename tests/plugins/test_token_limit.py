"""Guessing passwords at the API, asked of the real web server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from airflow.api_fastapi.app import create_app, purge_cached_app
from fastapi import FastAPI
from fastapi.responses import Response
from fastapi.testclient import TestClient

from plugins.corpus_plugin import CorpusPlugin

PASSWORD = "only for tests"


@pytest.fixture(scope="module")
def server(airflow_db: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    passwords = tmp_path_factory.mktemp("users") / "passwords.json"
    passwords.write_text(json.dumps({"reader": PASSWORD}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(passwords))
        # As the default, but over an hour: nothing passes by while this runs.
        patch.setenv("AIRFLOW__FAB__AUTH_RATE_LIMIT", "5 per hour")
        made = create_app()
        with TestClient(made):
            yield made
    purge_cached_app()


def connect(made: Any, address: str) -> TestClient:
    return TestClient(made, base_url="http://testserver", client=(address, 5000))


def login(client: TestClient, password: str, path: str = "/auth/token") -> httpx.Response:
    return client.post(path, json={"username": "reader", "password": password})


def test_after_five_wrong_passwords_an_address_waits(server: Any) -> None:
    client = connect(server, "192.0.2.1")
    paths = ["/auth/token", "/auth/token/cli", "/auth/token", "/auth/token/cli", "/auth/token"]
    assert [login(client, "a guess", path).status_code for path in paths] == [401] * 5
    refused = login(client, "a guess")
    assert refused.status_code == 429
    assert refused.headers["retry-after"] in refused.json()["detail"]
    # Not even the right one, or it would tell which one is right.
    assert login(client, PASSWORD).status_code == 429
    assert client.get("/api/v2/version").status_code == 200
    assert login(connect(server, "192.0.2.2"), PASSWORD).status_code == 201


def test_right_passwords_are_not_counted_and_make_up_for_no_wrong_ones(server: Any) -> None:
    client = connect(server, "192.0.2.3")
    assert {login(client, PASSWORD).status_code for _ in range(8)} == {201}
    for _ in range(5):
        assert login(client, "a guess").status_code == 401
        login(client, PASSWORD)
    assert login(client, "a guess").status_code == 429


def test_many_guesses_at_once_are_no_way_around(server: Any) -> None:
    client = connect(server, "192.0.2.4")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: login(client, "a guess").status_code, range(20)))
    assert sorted(answers) == [401] * 5 + [429] * 15


def small_server(base: str = "") -> FastAPI:
    """One that refuses every password, with the plugin's middlewares as Airflow adds them."""
    made = FastAPI(root_path=base)
    made.add_api_route("/auth/token", lambda: Response(status_code=401), methods=["POST"])
    for one in CorpusPlugin.fastapi_root_middlewares:
        made.add_middleware(one["middleware"])
    return made


def test_the_path_of_base_url_is_no_way_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__FAB__AUTH_RATE_LIMIT", "4 per hour")
    client = connect(small_server("/some/path"), "192.0.2.1")
    ways = ["/auth/token", "/some/path/auth/token"] * 3
    assert [login(client, "", way).status_code for way in ways] == [401] * 4 + [429] * 2


def test_a_site_may_switch_it_off_as_for_the_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__FAB__AUTH_RATE_LIMITED", "False")
    client = connect(small_server(), "192.0.2.1")
    assert {login(client, "").status_code for _ in range(8)} == {401}
