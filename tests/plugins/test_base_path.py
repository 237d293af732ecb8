"""Behind a proxy with a path in its address: people come with the path, workers and the reaper without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.support import airflow_home

# Of the real web server, with its three applications, the plugin and both auth paths.
_ASK = """\
import json
from airflow.api_fastapi.app import create_app
from fastapi.testclient import TestClient

paths = ["/api/v2/version", "/execution/health", "/auth/token", "/corpus/cards/x/", "/dags", "/"]
answers = {}
with TestClient(create_app(), base_url="http://testserver", follow_redirects=False) as client:
    for base in ("", "/some/path", "/some/pathology"):
        for path in paths:
            answer = client.get(base + path)
            page = '<base href="/some/path/"' in answer.text
            answers[base + path] = [answer.status_code, page]
print("ANSWERS", json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(airflow_db: None) -> dict[str, tuple[int, bool]]:
    done = subprocess.run(
        [sys.executable, "-c", _ASK],
        cwd=airflow_home.REPO,
        env={**os.environ, "AIRFLOW__API__BASE_URL": "https://ml.example/some/path"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("ANSWERS "))
    return {path: tuple(told) for path, told in json.loads(line.partition(" ")[2]).items()}


@pytest.mark.parametrize("base", ["", "/some/path"])
def test_everything_answers_with_the_path_and_without_it(
    base: str, answers: dict[str, tuple[int, bool]]
) -> None:
    assert answers[f"{base}/api/v2/version"] == (200, False)
    assert answers[f"{base}/execution/health"] == (200, False)
    # There, and not without a login.
    assert answers[f"{base}/auth/token"] == (403, False)
    assert answers[f"{base}/corpus/cards/x/"] == (401, False)


@pytest.mark.parametrize("base", ["", "/some/path"])
def test_the_ui_takes_the_path_of_the_address_that_users_type(
    base: str, answers: dict[str, tuple[int, bool]]
) -> None:
    assert answers[f"{base}/dags"] == (200, True)
    assert answers[f"{base}/"] == (200, True)


def test_another_path_that_begins_alike_is_another(answers: dict[str, tuple[int, bool]]) -> None:
    # The page of the UI, which answers whatever nobody else does.
    assert answers["/some/pathology/execution/health"] == (200, True)
