"""`corpus abandon` and `corpus clean` as a shell sees them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from corpus.cli.upkeep import duration
from corpus.errors import BadSettingError
from corpus.store.ending import end_of
from corpus.store.object_store import Store
from corpus.store.staging import Update
from tests.corpus.cli.test_main import corpus
from tests.support.building import build, context


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", timedelta(days=7)),
        (" 12h ", timedelta(hours=12)),
        ("30m", timedelta(minutes=30)),
        ("90s", timedelta(seconds=90)),
        ("2w", timedelta(weeks=2)),
        ("0d", timedelta(0)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    assert duration(text, "--older-than") == expected


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1.5h", "7 days", "9999999d", "1y"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(BadSettingError, match="is not a duration"):
        duration(text, "--older-than")


def test_a_duration_of_ages_is_refused() -> None:
    with pytest.raises(BadSettingError, match="'999999w' is more than 36500 days") as caught:
        duration("999999w", "--older-than")
    assert caught.value.field == "--older-than"


def test_clean_lists_counts_and_removes(tmp_path: Path) -> None:
    made = context(tmp_path / "c")
    build(made, "one", range(4))
    Update.open(made.store, "open")
    root = ("--root", str(tmp_path / "c"))
    assert corpus(*root, "clean", "--older-than", "soon").returncode == 2
    shown = corpus(*root, "clean", "--older-than", "0s", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "staging/one  published" in shown.stdout
    assert corpus(*root, "clean", "--blobs").returncode == 5
    default = json.loads(corpus(*root, "clean", "--json").stdout)
    assert (default["counts"], default["unfinished"]) == ({}, ["open"])
    done = corpus(*root, "clean", "--older-than", "0s", "--json")
    report = json.loads(done.stdout)
    assert (report["counts"], report["dry_run"]) == ({"published": 1}, False)
    assert report["bytes"] == sum(entry["bytes"] for entry in report["removed"]) > 0
    assert [key.split("/")[1] for key in made.store.list("staging")] == ["open"]


def test_abandon_asks_first_and_says_how_it_ended(tmp_path: Path) -> None:
    store = Store(tmp_path / "c")
    Update.open(store, "u")
    root = ("--root", str(tmp_path / "c"))
    # Standard input of a test is no terminal.
    asked = corpus(*root, "abandon", "u")
    assert (asked.returncode, end_of(store, "u")) == (2, None)
    assert "--yes" in asked.stderr
    result = tmp_path / "result.json"
    done = corpus(*root, "--result", str(result), "abandon", "u", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["update"] == json.loads(result.read_text())["report"]["update"]
    assert end_of(store, "u") == "abandon"
    assert corpus(*root, "label", "--update", "u").returncode == 5
    assert corpus(*root, "abandon", "v", "--yes").returncode == 6


@pytest.mark.parametrize(("answer", "status", "end"), [("n", 130, None), ("y", 0, "abandon")])
def test_on_a_terminal_the_answer_counts(
    tmp_path: Path, answer: str, status: int, end: str | None
) -> None:
    store = Store(tmp_path / "c")
    Update.open(store, "u")
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        command = [sys.executable, "-m", "corpus", "--root", store.url, "abandon", "u"]
        env = {**os.environ, "CORPUS_CONFIG": "/nonexistent"}
        done = subprocess.run(
            command, stdin=theirs, capture_output=True, text=True, env=env, check=False
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Abandon update u for good?" in done.stderr
    assert (done.returncode, end_of(store, "u")) == (status, end)
