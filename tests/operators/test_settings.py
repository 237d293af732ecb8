"""Settings of workers: of the same files as the corpus's, each side with its own part."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.contract.version import Code
from corpus.errors import BadSettingError
from corpus.settings import OF_WORKERS, Settings
from corpus.settings.reference import reference
from operators.settings import WorkerSettings, main

REPO = Path(__file__).parents[2]


def test_the_corpus_knows_them_by_name() -> None:
    assert set(WorkerSettings.model_fields) == OF_WORKERS
    assert OF_WORKERS.isdisjoint(Settings.model_fields)


def test_each_side_reads_its_part_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "corpus.toml"
    file.write_text(
        'runner = "docker"\n[docker]\npids = 64\ncpus = 1.5\n[splits]\nseed = 5\n[reaper]\ngrace_s = 1\n'
    )
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.toml").write_text("[docker]\ncpus = 3\n")
    monkeypatch.setenv("CORPUS_DOCKER__PIDS", "65")
    workers = WorkerSettings.load(file=file)
    assert (workers.runner, workers.reaper.grace_s) == ("docker", 1)
    assert (workers.docker.pids, workers.docker.cpus) == (65, 3)
    assert Settings.load(file=file).splits.seed == 5


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("[docker]\npidz = 64\n", "docker.pidz", "Did you mean docker.pids?"),
        ("[docker]\npids = 1\n", "docker.pids", "greater than or equal to 16"),
        (f"[docker]\nmemory_bytes = {2**62}\n", "docker.memory_bytes", "less than or equal to"),
        ("[reaper]\ninterval_s = inf\n", "reaper.interval_s", "less than or equal to 86400"),
        ('runner = "spark"\n', "runner", "'process' or 'docker'"),
        ("[raeper]\n", "raeper", "Did you mean reaper?"),
        ("[split]\n", "split", "Did you mean splits?"),
    ],
)
def test_nonsense_is_refused_by_name(tmp_path: Path, text: str, field: str, says: str) -> None:
    file = tmp_path / "corpus.toml"
    file.write_text(text)
    with pytest.raises(BadSettingError) as caught:
        WorkerSettings.load(file=file)
    assert caught.value.field == field
    assert says in str(caught.value)


def test_every_number_has_a_maximum() -> None:
    for name, section in WorkerSettings.model_json_schema()["$defs"].items():
        for field, schema in section["properties"].items():
            if schema.get("type") in ("integer", "number"):
                assert "maximum" in schema, f"{name}.{field}"


def test_what_belongs_to_the_corpus_is_not_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "corpus.toml"
    file.write_text("[splits]\nseed = 'x'\nnothing = 1\n")
    assert WorkerSettings.load(file=file).model_dump() == WorkerSettings().model_dump()


def test_images_may_be_those_of_the_version_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.settings.current", lambda: Code("1.4.0+15.gabc1234"))
    docker = WorkerSettings.load(
        {"docker": {"services_image": "registry.example/services:{version}"}}
    ).docker
    assert docker.services_image == "registry.example/services:1.4.0-15.gabc1234"
    assert docker.extractor_image == "corpus-extractor:latest"


def test_the_reference_is_the_code_s() -> None:
    page = REPO / "docs" / "reference" / "settings.md"
    assert page.read_text() == reference(Settings, WorkerSettings), "run `make docs`"


def test_a_command_shows_the_effective_ones(tmp_path: Path) -> None:
    file = tmp_path / "corpus.toml"
    file.write_text("[docker]\npids = 64\n[splits]\nseed = 5\n")
    environment = {**os.environ, "CORPUS_CONFIG": str(file), "CORPUS_REAPER__GRACE_S": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "operators.settings"],
        cwd=REPO,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    shown = {line.split()[0]: line.split(maxsplit=1)[1] for line in done.stdout.splitlines()}
    assert shown["docker.pids"] == f"64  ({file})"
    assert shown["reaper.grace_s"] == "2.0  (environment CORPUS_REAPER__GRACE_S)"
    assert shown["runner"] == '"process"  (default)'
    assert "splits.seed" not in shown


def test_help_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    for words, status in ((["--help"], 0), (["-h"], 0), (["--nonsense"], 2)):
        assert main(words) == status
        said = capsys.readouterr()
        assert "--reference" in (said.err if status else said.out)
