"""The reaper's health: a pass lately, and an API to ask. As a container has it: `python -m deploy.container.health reaper`."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.deploy.container.health.test_main import check


class Airflow(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/v2/version" else 404)
        self.end_headers()
        self.wfile.write(b'{"version": "3"}')

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Airflow)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def said(url: str, scratch: Path, **more: str) -> tuple[int, str]:
    environment = {"CORPUS_REAPER__API_URL": url, "CORPUS_DOCKER__SCRATCH": str(scratch), **more}
    done = check("reaper", **environment)
    return done.returncode, done.stdout.strip()


def test_it_is_healthy_when_a_pass_was_completed_lately(url: str, tmp_path: Path) -> None:
    assert said(url, tmp_path) == (
        1,
        "reaper: unhealthy: no pass was completed yet; its log says why",
    )
    file = tmp_path / ".reaper-host"
    file.touch()
    status, line = said(url, tmp_path)
    assert (status, line.split(" a pass ")[0]) == (0, "reaper: completed")
    ago = time.time() - 400
    os.utime(file, (ago, ago))
    status, line = said(url, tmp_path)
    assert status == 1
    assert line.startswith("reaper: unhealthy: no pass was completed for 40")
    # Passes that are further apart have longer.
    assert said(url, tmp_path, CORPUS_REAPER__INTERVAL_S="100")[0] == 0


def test_a_wrong_address_is_unhealthy_though_the_last_pass_was_just_now(
    url: str, tmp_path: Path
) -> None:
    (tmp_path / ".reaper-host").touch()
    assert said(f"{url}/path", tmp_path) == (
        1,
        f"reaper: unhealthy: the API answers 404: {url}/path/api/v2/version; see CORPUS_REAPER__API_URL",
    )
