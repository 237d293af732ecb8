"""An engine, or a disk, that answers with errors: a pass that fails is the next one's to mend."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from corpus.errors import PassingFaultError
from operators.errors import NoAnswerError, RefusedError
from operators.reaper.__main__ import main
from operators.reaper.airflow_api import AirflowApi, TaskKey
from operators.reaper.images import TITLE
from operators.reaper.reaper import Reaper
from operators.reaper.report import Report
from operators.settings import WorkerSettings

IMAGE = {"Id": "sha256:1", "Labels": {TITLE: "corpus-airflow"}}


class Server(ThreadingHTTPServer):
    """An Airflow without a task, and an engine that has one image, at one address.

    `broken` are paths to which the answer is status 500; `missing` is what it says of what is not there.
    """

    answers: dict[str, Any] = {  # noqa: RUF012
        "/auth/token": {"access_token": "token"},
        "/api/v2/dags": {},
        "/containers/json": [],
        "/images/json": [IMAGE],
    }

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.broken: set[str] = set()
        self.missing = ""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        status, answer = 200, self.server.answers.get(path)
        if path in self.server.broken:
            status, answer = 500, {"message": "driver failed"}
        elif answer is None:
            status, answer = 404, {"detail": self.server.missing}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def settings(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkerSettings:
    address = f"127.0.0.1:{server.server_port}"
    (tmp_path / "password").write_text("secret")
    (tmp_path / "scratch").mkdir()
    for name, value in {
        "DOCKER__URL": f"tcp://{address}",
        "DOCKER__SCRATCH": str(tmp_path / "scratch"),
        "REAPER__API_URL": f"http://{address}",
        "REAPER__API_PASSWORD_FILE": str(tmp_path / "password"),
    }.items():
        monkeypatch.setenv(f"CORPUS_{name}", value)
    return WorkerSettings.load()


def test_an_engine_that_refuses_to_list_is_a_passing_fault(
    settings: WorkerSettings, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.broken.add("/containers/json")
    assert main(["--once"]) == PassingFaultError.exit_status
    assert "does not say: driver failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("broken", "failed", "says"),
    [
        ("/images/json", 1, "Old images were not looked for: the Docker engine"),
        ("/images/sha256:1/json", 0, "Kept image sha256:1: driver failed"),
    ],
)
def test_what_tasks_left_is_looked_for_whatever_the_images(
    settings: WorkerSettings,
    server: Server,
    broken: str,
    failed: int,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.broken.add(broken)
    passes = Reaper(settings, Report(), grace_s=0)
    assert passes.look().failed == failed
    assert passes.look().failed == failed
    assert capsys.readouterr().out.count(says) == 1


def test_airflow_is_asked_by_no_proxy(
    settings: WorkerSettings, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host's proxy is for the world outside, whether or not NO_PROXY names the control plane."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    AirflowApi(
        settings.reaper.api_url, settings.reaper.api_user, Path(settings.reaper.api_password_file)
    ).check()


@pytest.mark.parametrize(
    ("detail", "kind"),
    [
        ("DagRun with dag_id: `d` and run_id: `r` was not found", None),
        ("The Dag with ID: `d` was not found", RefusedError),
        ("Not Found", NoAnswerError),
        ("anything else", NoAnswerError),
        (None, NoAnswerError),
    ],
)
def test_a_task_is_gone_only_where_its_run_is(
    settings: WorkerSettings, server: Server, detail: str, kind: type[NoAnswerError] | None
) -> None:
    """A DAG that Airflow has not serialized just now may have runs whose tasks are at work."""
    server.missing = detail
    api = AirflowApi(
        settings.reaper.api_url, settings.reaper.api_user, Path(settings.reaper.api_password_file)
    )
    with pytest.raises(kind, check=lambda error: type(error) is kind) if kind else nullcontext():
        assert api.find([TaskKey("d", "r", "t", -1)]) == {}


def test_a_disk_that_cannot_be_read_is_a_passing_fault(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> Iterator[Path]:
        raise OSError(5, "Input/output error", str(folder))

    monkeypatch.setattr(Path, "iterdir", fail)
    with pytest.raises(PassingFaultError, match="Input/output error"):
        Reaper(settings, Report(), grace_s=0).look()
