"""Data cards in the real web server of Airflow: who gets them, and what they can do there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.api_fastapi.app import create_app, get_auth_manager, purge_cached_app
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.configuration import conf
from fastapi.testclient import TestClient

from tests.support import airflow_home

CARD = "/corpus/cards/20260101T000000-1a2b3c4d/"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    card = root / "snapshots" / "20260101T000000-1a2b3c4d" / "card"
    card.mkdir(parents=True)
    (card / "index.html").write_text("<title>A data card</title><script>alert(1)</script>")
    (card / "growth.png").write_bytes(b"\x89PNG")
    (card / "croissant.json").write_text("{}")
    (card / "folder.png").mkdir()
    (card / "run.js").write_text("alert(1)")
    (card.parent / "manifest.json").write_text('{"secret": 1}')
    (root / "secret.json").write_text('{"secret": 1}')
    (card / "link.json").symlink_to(root / "secret.json")
    (card / "inside.json").symlink_to(card / "croissant.json")
    os.mkfifo(card / "pipe.json")
    (card / "folder.json").mkdir()
    (root / "elsewhere").mkdir()
    (root / "elsewhere" / "secret.json").write_text('{"secret": 1}')
    (root / "snapshots" / "linked").mkdir()
    (root / "snapshots" / "linked" / "card").symlink_to(root / "elsewhere")
    (root / "snapshots" / "away").symlink_to(root / "elsewhere")
    return root


@pytest.fixture(scope="module")
def client(root: Path, airflow_db: None) -> Iterator[TestClient]:
    assert (
        conf.get("core", "plugins_folder")
        == airflow_home.ENVIRONMENT["AIRFLOW__CORE__PLUGINS_FOLDER"]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORPUS_STORE__ROOT", str(root))
        with TestClient(create_app(apps="core"), base_url="http://testserver") as client:
            yield client
    purge_cached_app()


@pytest.fixture(scope="module")
def token(client: TestClient) -> str:
    reader = SimpleAuthManagerUser(username="reader", role="VIEWER")
    token: str = get_auth_manager().generate_jwt(reader)
    return token


def test_nobody_without_a_login_sees_a_card(client: TestClient) -> None:
    for path in (CARD, CARD + "growth.png", "/corpus/cards/none/"):
        assert client.get(path).status_code == 401


def test_a_forged_token_is_refused(client: TestClient) -> None:
    assert client.get(CARD, headers={"Authorization": "Bearer nonsense"}).status_code == 403


@pytest.mark.parametrize("way", ["cookie", "header"])
def test_a_logged_in_reader_gets_the_page(way: str, client: TestClient, token: str) -> None:
    headers = (
        {"Cookie": f"_token={token}"} if way == "cookie" else {"Authorization": f"Bearer {token}"}
    )
    answer = client.get(CARD, headers=headers)
    assert answer.status_code == 200
    assert "A data card" in answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_nothing_in_a_card_can_run_script(client: TestClient, token: str) -> None:
    headers = client.get(CARD, headers={"Authorization": f"Bearer {token}"}).headers
    policy = dict(
        part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert "script-src" not in policy
    assert "allow-scripts" not in policy["sandbox"]
    assert headers["x-content-type-options"] == "nosniff"


def test_pictures_and_metadata_come_with_their_types(client: TestClient, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get(CARD + "growth.png", headers=headers).headers["content-type"] == "image/png"
    assert (
        client.get(CARD + "croissant.json", headers=headers).headers["content-type"]
        == "application/json"
    )


@pytest.mark.parametrize(
    "path",
    [
        "/corpus/cards/20991231T000000-00000000/",
        CARD + "run.js",
        CARD + "missing.png",
        CARD + "link.json",
        CARD + "inside.json",
        CARD + "pipe.json",
        CARD + "folder.json",
        "/corpus/cards/linked/secret.json",
        "/corpus/cards/away/secret.json",
        CARD + "..%2Fmanifest.json",
        CARD + "%2e%2e/manifest.json",
        CARD + "..%5cmanifest.json",
        "/corpus/cards/%2e%2e/index.html",
        "/corpus/cards/..%2F..%2Fetc/index.html",
        "/corpus/cards/.tmp-1/index.html",
        "/corpus/cards/%00/index.html",
        CARD + "%00.png",
        CARD + "%0a.png",
        CARD + ".png",
        CARD + "folder.png",
        CARD + "growth.png%20",
        CARD + "growth.PNG",
        CARD + "a" * 251 + ".png",
        CARD + "a" * 5000 + ".png",
        CARD + "a..png",
        "/corpus/cards/" + "a" * 251 + "/",
        "/corpus/cards/" + "a" * 5000 + "/",
        "/corpus/cards/" + "%E2%85%A3" * 200 + "/",
        "/corpus/cards/20260101T000000-1a2b3c4d%5c/",
        "/corpus/cards/%FF/",
        "/corpus/cards/%ED%A0%80/index.html",
        "/corpus/cards/..../index.html",
        "/corpus/cards/%20/index.html",
        "/corpus/cards/---/index.html",
        "/corpus/cards//index.html",
    ],
)
def test_no_path_leads_out_of_a_card(path: str, client: TestClient, token: str) -> None:
    answer = client.get(path, headers={"Authorization": f"Bearer {token}"}, follow_redirects=False)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_the_page_needs_no_library_that_reads_tables():
    """The image of the web server has none of them."""
    code = (
        "import sys\n"
        "for name in ('pyarrow', 'polars', 'deltalake', 'numpy', 'lief'): sys.modules[name] = None\n"
        "import operators.ui.cards"
    )
    subprocess.run([sys.executable, "-c", code], cwd=airflow_home.REPO, check=True)
