"""Which releases go, and that none does while that cannot be known."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.deploy.host.conftest import Host

pytestmark = pytest.mark.usefixtures("without_docker")
DOCKER = shutil.which("docker")
MANY = ("1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0")


class Api:
    """Answers as Airflow's API; `runs` and `dags` are counts by release, `broken` what it says instead."""

    def __init__(self) -> None:
        self.runs: dict[str, int] = {}
        self.dags: dict[str, int] = {}
        self.broken: tuple[int, str] | None = None
        self.asked: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                known = self.path == "/auth/token" and body == {
                    "username": "reaper",
                    "password": "a secret",
                }
                self._answer(201 if known else 401, json.dumps({"access_token": "a token"}))

            def do_GET(self) -> None:
                address = urlsplit(self.path)
                query = parse_qs(address.query)
                outer.asked.append(self.path)
                outer.meanwhile()
                if self.headers["Authorization"] != "Bearer a token":
                    self._answer(401, "{}")
                elif outer.broken:
                    self._answer(*outer.broken)
                elif address.path == "/api/v2/dags":
                    count = outer.dags.get(query["bundle_version"][0], 0)
                    self._answer(200, json.dumps({"dags": [], "total_entries": count}))
                elif address.path == "/api/v2/dags/~/dagRuns":
                    assert sorted(query["state"]) == ["queued", "running"]
                    count = outer.runs.get(query["bundle_version"][0], 0)
                    self._answer(200, json.dumps({"dag_runs": [], "total_entries": count}))
                else:
                    self._answer(404, "{}")

            def _answer(self, status: int, text: str) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def api(host: Host) -> Iterator[Api]:
    found = Api()
    thread = threading.Thread(target=found.server.serve_forever, args=(0.01,))
    thread.start()
    password = host.folder / "password"
    password.write_text("a secret\n")
    host.set("api", url=found.url, password_file=str(password))
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.fixture
def many(host: Host, capsys: pytest.CaptureFixture[str]) -> Host:
    host.install(*MANY)
    capsys.readouterr()
    return host


def age(host: Host, days: float, *names: str) -> None:
    """As if these had been installed, and the last of them left, so many days ago."""
    then = time.time() - days * 86400
    for turn, name in enumerate(names):
        os.utime(host.releases / name, (then + turn, then + turn))
    history = host.folder / "releases" / ".history"
    lines = history.read_text().splitlines(keepends=True)
    old = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(then))
    changes = len(names) + 1
    aged = [f"{old} {line.split(' ', 1)[1]}" for line in lines[:changes]]
    history.write_text("".join([*aged, *lines[changes:]]))


def test_the_newest_stay_and_the_rest_goes(
    many: Host, api: Api, capsys: pytest.CaptureFixture[str]
):
    assert many("prune") == 0
    assert many.releases.names() == ["1.3.0", "1.4.0", "1.5.0"]
    assert "Removed 1.0.0, 1.1.0, 1.2.0; here are 1.3.0, 1.4.0, 1.5.0." in capsys.readouterr().out
    state = json.loads((many.folder / "state" / "prune.json").read_text())
    assert state["status"] == "ok"


def test_a_release_that_becomes_current_meanwhile_stays(
    many: Host, api: Api, capsys: pytest.CaptureFixture[str]
):
    api.meanwhile = lambda: many.releases.switch("1.1.0")
    assert many("prune") == 0
    assert many.releases.names() == ["1.1.0", "1.3.0", "1.4.0", "1.5.0"]
    assert "Removed 1.0.0, 1.2.0; here are" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("prune",), ("prune", "--dry-run")])
def test_a_missing_folder_is_told(
    host: Host, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    assert host(*words) == 2
    told = capsys.readouterr().err
    assert f"There is no folder {host.releases.folder}: set releases.folder" in told


def test_what_is_in_use_stays(many: Host, api: Api, capsys: pytest.CaptureFixture[str]):
    many("switch", "1.0.0")
    many("switch", "1.1.0")
    api.runs = {"1.2.0": 2}
    api.dags = {"1.3.0": 1}
    many.set("releases", kept=1)
    capsys.readouterr()
    assert many("prune", "--dry-run") == 0
    assert capsys.readouterr().out.splitlines() == [
        "1.0.0 stays: previous",
        "1.1.0 stays: current",
        "1.2.0 stays: runs under way on it: 2",
        "1.3.0 stays: new runs begin with it",
        "1.4.0 would be removed",
        "1.5.0 stays: one of the newest 1",
    ]
    assert many.releases.names() == list(MANY)
    assert not (many.folder / "state").exists()
    many("prune")
    assert many.releases.names() == ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.5.0"]


def test_versions_with_a_plus_and_a_tilde_are_asked_as_they_are(host: Host, api: Api):
    host.install("1.0.0~rc1+3.gabc", "1.1.0", "1.2.0", "1.3.0")
    api.runs = {"1.0.0~rc1+3.gabc": 1}
    assert host("prune") == 0
    assert "1.0.0~rc1+3.gabc" in host.releases.names()


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ((500, "{}"), "answered 500"),
        ((403, "{}"), r"refuses reaper \(403\): api.user must be one who may see all DAGs"),
        ((200, "<html>"), "does not answer as Airflow 3 does"),
        ((200, "[]"), "does not answer as Airflow 3 does"),
        ((200, '{"total_entries": null}'), "does not answer as Airflow 3 does"),
    ],
)
def test_an_answer_that_tells_nothing_removes_nothing(
    many: Host, api: Api, broken: tuple[int, str], told: str, capsys: pytest.CaptureFixture[str]
):
    api.broken = broken
    assert many("prune") == 75
    said = capsys.readouterr().err
    assert re.search(told, said)
    assert "Which releases are in use is not known; none was removed." in said
    assert many.releases.names() == list(MANY)
    state = json.loads((many.folder / "state" / "prune.json").read_text())
    assert state["status"] == "failed"


def test_nobody_answers(many: Host, api: Api, capsys: pytest.CaptureFixture[str]):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        many.set("api", url=f"http://127.0.0.1:{unused.getsockname()[1]}")
        assert many("prune") == 75
    assert "does not answer: [Errno 111] Connection refused" in capsys.readouterr().err
    assert many.releases.names() == list(MANY)


def test_a_wrong_password_is_told(many: Host, api: Api, capsys: pytest.CaptureFixture[str]):
    (many.folder / "password").write_text("another")
    assert many("prune") == 75
    assert "refuses reaper (401)" in capsys.readouterr().err
    assert many.releases.names() == list(MANY)


def test_no_password_file_is_told(many: Host, api: Api, capsys: pytest.CaptureFixture[str]):
    (many.folder / "password").unlink()
    assert many("prune") == 2
    assert "api.password_file" in capsys.readouterr().err
    assert many.releases.names() == list(MANY)


def test_an_address_of_a_file_is_refused(many: Host, capsys: pytest.CaptureFixture[str]):
    many.set("api", url="file:///etc")
    assert many("prune") == 2
    assert "api.url is to begin with http" in capsys.readouterr().err


@pytest.mark.skipif(DOCKER is None, reason="There is no Docker client here")
def test_an_engine_that_does_not_answer_removes_nothing(
    many: Host, api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    # Its containers may be on any of the releases, and may live on without it.
    monkeypatch.setenv("PATH", os.path.dirname(str(DOCKER)))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{many.folder}/no-engine.sock")
    assert many("prune") == 75
    assert "Docker does not answer" in capsys.readouterr().err
    assert many.releases.names() == list(MANY)


def test_where_nothing_is_old_nobody_is_asked(host: Host, api: Api):
    host.install("1.0.0", "1.1.0")
    assert host("prune") == 0
    assert api.asked == []


def test_without_an_api_only_age_counts(many: Host, capsys: pytest.CaptureFixture[str]):
    assert many("prune") == 0
    assert many.releases.names() == list(MANY)
    age(many, 31, "1.0.0", "1.1.0")
    assert many("prune") == 0
    assert many.releases.names() == list(MANY[2:])


def test_a_release_that_was_current_lately_is_not_old(
    many: Host, capsys: pytest.CaptureFixture[str]
):
    age(many, 31, "1.0.0", "1.1.0")
    many("switch", "1.0.0")
    many("switch", "1.5.0")
    many("switch", "1.4.0")
    capsys.readouterr()
    many("prune", "--dry-run")
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "1.0.0 stays: in use within the last 30 days, and api.url is not set"
    assert told[1] == "1.1.0 would be removed"


def test_the_list_tells_the_runs_of_each(many: Host, api: Api, capsys: pytest.CaptureFixture[str]):
    api.runs = {"1.4.0": 7}
    assert many("releases", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["version"] for row in found["releases"]] == list(reversed(MANY))
    assert [row["runs"] for row in found["releases"]] == [0, 7, 0, 0, 0, 0]
    assert [row["is"] for row in found["releases"]][:3] == ["current", "previous", None]
    assert all(row["bytes"] > 0 for row in found["releases"])
    assert {row["tried"] for row in found["releases"]} == {
        "5 files compile, DAGs not loaded: images.airflow is empty"
    }
    many("releases")
    assert re.search(r"(?m)^1\.4\.0 +\S+ +previous +\S+ kB +7$", capsys.readouterr().out)


def test_the_list_is_shown_where_airflow_is_away(
    many: Host, api: Api, capsys: pytest.CaptureFixture[str]
):
    api.broken = (500, "")
    assert many("releases") == 0
    told = capsys.readouterr().out
    assert "1.0.0" in told
    assert "Runs are not known." in told
