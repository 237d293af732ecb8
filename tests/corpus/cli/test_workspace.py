"""`corpus workspace` as a shell sees it: output, exit status, result file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from corpus.contract.registry import SERVICES
from corpus.contract.reports import IngestReport
from corpus.contract.requests import CollectRequest
from corpus.services.collect.service import collect
from corpus.settings import Settings
from corpus.store.object_store import Store
from corpus.store.staging import Update
from tests.support.executables import launcher
from tests.support.workspaces import quiet

IMAGE = {"name": "corpus-services", "digest": "sha256:" + "1" * 64}
SANDBOX_IMAGE = {"name": "corpus-extractor", "digest": "sha256:" + "2" * 64}


def corpus(*arguments: Any, **run: Any) -> subprocess.CompletedProcess[str]:
    environment = {"CORPUS_CONFIG": "/nonexistent", "CORPUS_RUN": json.dumps(run)}
    return subprocess.run(
        [sys.executable, "-m", "corpus", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CORPUS_SOURCES__URLS", json.dumps([str(tmp_path / "in")]))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.exe").write_bytes(launcher())
    settings = Settings.load({"sources": {"urls": [str(tmp_path / "in")]}})
    collect(CollectRequest(update="u"), quiet(settings, Store(tmp_path / "corpus")))
    return tmp_path / "corpus"


def test_three_steps(root: Path, tmp_path: Path) -> None:
    folder, result = tmp_path / "workspace", tmp_path / "result.json"
    trusted = ["--root", root, "--result", result, "workspace"]
    service = ["ingest", "--update=u", "--shards=shard-0000", "--file-types=pe"]
    done = corpus(*trusted, "stage-in", *service, "--to", folder, image=IMAGE)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(result.read_text())
    assert (outcome["status"], outcome["report"]["files"]) == ("ok", 1)
    done = corpus("--root", folder, "--result", tmp_path / "own.json", *service, image=IMAGE)
    assert done.returncode == 0, done.stderr
    images = {"image": IMAGE, "sandbox_image": SANDBOX_IMAGE}
    done = corpus(*trusted, "stage-out", *service, "--from", folder, "--json", **images)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(result.read_text())
    assert outcome == json.loads((tmp_path / "own.json").read_text())
    assert json.loads(done.stdout) == outcome["report"]
    assert IngestReport.model_validate(outcome["report"]).samples == 1
    reports = Update.open(Store(root), "u").reports("image")
    assert sorted(report["name"] for report in reports) == ["corpus-extractor", "corpus-services"]
    assert {report["service"] for report in reports} == {"ingest"}


def test_what_is_refused_is_bad_input_that_names_the_file(root: Path, tmp_path: Path) -> None:
    folder, result = tmp_path / "workspace", tmp_path / "result.json"
    service = ["ingest", "--update=u"]
    assert corpus("--root", root, "workspace", "stage-in", *service, "--to", folder).returncode == 0
    out = ["--root", root, "--result", result, "workspace", "stage-out", *service, "--from", folder]
    done = corpus(*out)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    error = json.loads(result.read_text())["error"]
    key = "staging/u/samples/shard-0000.parquet"
    assert (error["type"], error["fields"]["file"]) == ("BadInputError", key)


@pytest.mark.parametrize("step", ["stage-in", "stage-out"])
@pytest.mark.parametrize("service", ["ingest", "extract"])
def test_the_options_are_those_of_the_service(step: str, service: str) -> None:
    shown = corpus("workspace", step, service, "--help")
    assert shown.returncode == 0
    for field in SERVICES[service].request.model_fields:
        assert f"--{field.replace('_', '-')}" in shown.stdout


def test_other_services_need_no_workspace(tmp_path: Path) -> None:
    done = corpus("workspace", "stage-in", "label", "--to", tmp_path / "workspace")
    assert done.returncode == 2
    assert "label" in done.stderr
    assert corpus("workspace", "stage-in", "ingest", "--update=u").returncode == 2


def test_an_update_that_is_not_there(root: Path, tmp_path: Path) -> None:
    service = ["workspace", "stage-in", "ingest", "--update=v", "--to", tmp_path / "workspace"]
    done = corpus("--root", root, *service)
    assert done.returncode == 6
    assert not (tmp_path / "workspace").exists()
