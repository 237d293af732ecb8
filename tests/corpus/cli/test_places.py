"""Places at the command's entries: options, settings, manifests' rows, and what the store names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from corpus.cli.main import cli, run
from corpus.store.object_store import Store
from corpus.store.schemas import CANDIDATES
from corpus.store.staging import Update
from tests.support.spellings import REFUSED, SECRET, TAKEN, garden, spelled

# What a program's arguments and environment cannot hold.
GIVEN = [text for text in REFUSED if "\0" not in text and text]
A = "a" * 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def names(folder: Path) -> dict[str, str]:
    return garden(folder)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, names: dict[str, str]) -> None:
    """A run's surroundings, with `{in}` as the one source of its settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORPUS_STORE__ROOT", str(tmp_path / "corpus"))
    monkeypatch.setenv("CORPUS_SOURCES__URLS", json.dumps([names["{in}"]]))
    monkeypatch.setenv("CORPUS_RUN", json.dumps({"dag_id": "d", "run_id": "r"}))


def call(*arguments: str) -> int:
    given = ["--result", "result.json", *arguments]
    return run(lambda: cli.main(given, prog_name="corpus", standalone_mode=False), given)


def said(capfd: pytest.CaptureFixture[str]) -> str:
    """All that the command has printed and written."""
    shown = capfd.readouterr()
    return f"{shown.out}{shown.err}{Path('result.json').read_text()}"


def located(update: str = "u") -> list[str]:
    rows = Update.open(Store("corpus"), update).read("candidates").to_pylist()
    return [row["location"] for row in rows]


@pytest.mark.parametrize("option", ["import-verdicts --urls", "collect --sources"])
@pytest.mark.parametrize("text", GIVEN)
def test_an_option_of_a_run_names_no_other_place(
    capfd: pytest.CaptureFixture[str], names: dict[str, str], option: str, text: str
) -> None:
    service, flag = option.split()
    assert call(service, "--update", "u", f"{flag}={spelled(text, names)}") == 2
    shown = said(capfd)
    assert SECRET not in shown
    assert "Traceback" not in shown
    # One line of what is wrong, and perhaps one of what to do.
    assert len(json.dumps(json.loads(Path("result.json").read_text())["error"])) < 1_200


@pytest.mark.parametrize(("text", "below"), TAKEN.items())
def test_an_option_of_a_run_names_an_allowed_place(
    names: dict[str, str], text: str, below: str
) -> None:
    assert call("collect", "--update", "u", f"--sources={spelled(text, names)}") == 0
    (location,) = located()
    assert location.replace("%25", "%") == f"{names['{in}']}/{below}"


def feed(place: str) -> str:
    return f"verdicts.feeds={json.dumps([{'place': place}])}"


def test_a_run_cannot_allow_itself_a_place(
    capfd: pytest.CaptureFixture[str], names: dict[str, str]
) -> None:
    secret = f"{names['{out}']}/secret.txt"
    reading = ("import-verdicts", "--update=u", f"--urls={secret}")
    for override in (
        'places.roots=["/"]',
        'places={"roots": ["/"]}',
        feed(secret),
        f"sources.urls={json.dumps(['/'])}",
        "store.root=/",
    ):
        assert call("--set", override, *reading) == 2
        assert SECRET not in said(capfd)
    assert call("--set", feed(secret), "import-verdicts") == 2
    assert SECRET not in said(capfd)


def test_even_a_run_that_says_nothing_of_itself_is_a_run(
    monkeypatch: pytest.MonkeyPatch, names: dict[str, str]
) -> None:
    monkeypatch.setenv("CORPUS_RUN", "{}")
    assert call("collect", f"--sources={names['{out}']}") == 2


def test_a_person_reads_what_they_type(
    monkeypatch: pytest.MonkeyPatch, names: dict[str, str], tmp_path: Path
) -> None:
    monkeypatch.delenv("CORPUS_RUN")
    monkeypatch.chdir(names["{out}"])
    monkeypatch.setenv("CORPUS_STORE__ROOT", str(tmp_path / "corpus"))
    collect = ("collect", "--update=u", "--sources", "../out/secret.txt")
    result = ("--result", str(tmp_path / "result.json"))
    given = [*result, *collect]
    assert run(lambda: cli.main(given, standalone_mode=False), given) == 0
    # The next command of the same update, too, reads what was typed for the first.
    given = [*result, "ingest", "--update=u"]
    assert run(lambda: cli.main(given, standalone_mode=False), given) == 0
    report = json.loads((tmp_path / "result.json").read_text())["report"]
    assert (report["unsupported"], report["rejects"]) == ({"text": 1}, {})
    # A run does not.
    monkeypatch.setenv("CORPUS_RUN", "{}")
    assert run(lambda: cli.main(given, standalone_mode=False), given) == 2


def test_a_persons_relative_settings_begin_where_they_are(
    monkeypatch: pytest.MonkeyPatch, names: dict[str, str], tmp_path: Path
) -> None:
    monkeypatch.delenv("CORPUS_RUN")
    os.symlink(names["{in}"], tmp_path / "samples")
    monkeypatch.setenv("CORPUS_SOURCES__URLS", '["samples"]')
    assert call("collect", "--update=u") == 0
    assert f"{tmp_path}/samples/a.txt" in located()


@pytest.mark.parametrize("text", GIVEN)
def test_a_setting_names_a_place_or_is_refused(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    names: dict[str, str],
    text: str,
) -> None:
    """Who writes the settings may name any file, but in one spelling, and without what is no file."""
    written = spelled(text, names)
    if "://" in written and written.split("://")[0].lower() not in ("file", "local"):
        # It would be allowed, and asked for over the network.
        monkeypatch.setenv("CORPUS_SOURCES__URLS", "[]")
        monkeypatch.setenv("CORPUS_PLACES__ROOTS", json.dumps([names["{in}"]]))
        assert call("--set", f"sources.urls={json.dumps([written])}", "collect", "--update=u") == 2
    else:
        monkeypatch.setenv("CORPUS_SOURCES__URLS", json.dumps([written]))
        assert call("collect", "--update=u") in (0, 2)
        allowed = tuple(names.values())
        if Path("corpus/staging/u/candidates").exists():
            assert all(name.startswith((*allowed, "/etc/passwd")) for name in located())
    assert "Traceback" not in said(capfd)


@pytest.mark.parametrize("text", [text for text in REFUSED if text and "\udcff" not in text])
def test_a_row_of_a_manifest_names_nothing_else(
    capfd: pytest.CaptureFixture[str], names: dict[str, str], text: str
) -> None:
    manifest = Path(names["{in}"]) / "list.jsonl"
    row = {"sha256": A, "location": spelled(text, names)}
    manifest.write_text(json.dumps(row) + "\n")
    try:
        status = call("collect", "--update=u", f"--sources={manifest}")
    finally:
        manifest.unlink()
    shown = said(capfd)
    assert SECRET not in shown
    assert "Traceback" not in shown
    # A relative path begins at the manifest, and whether there is such a file is not what is asked here.
    if status != 2:
        assert status == 0
        assert all(name.startswith(f"{names['{in}']}/") for name in located())


@pytest.mark.parametrize("text", [text for text in REFUSED if "\udcff" not in text])
def test_a_candidate_in_the_store_is_no_other_place(
    capfd: pytest.CaptureFixture[str], names: dict[str, str], text: str
) -> None:
    update = Update.open(Store("corpus"), "u")
    row = {field.name: None for field in CANDIDATES.schema}
    row |= {
        "location": spelled(text, names),
        "fingerprint": "1",
        "size": 1,
        "source": "s",
        "tags": [],
    }
    update.write("candidates", [row], "shard-0000")
    status = call("ingest", "--update=u")
    shown = said(capfd)
    assert SECRET not in shown
    assert "Traceback" not in shown
    if status != 2:
        # A file that was listed and is now a link, a pipe or gone is that file's own fault.
        assert json.loads(Path("result.json").read_text())["report"]["samples"] == 0
        assert set(json.loads(Path("result.json").read_text())["report"]["rejects"]) <= {
            "unreadable",
            "changed",
        }
