"""Whole updates on real executables, disturbed: kill -9, two at once, late verdicts, full disks."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.executables import real_elfs, real_pes
from tests.support.full import FULL
from tests.support.small_disk import fill, small_disk

REPO = Path(__file__).resolve().parents[3]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, path in enumerate([*real_pes()[:6], *real_elfs()[:2]]):
        shutil.copyfile(path, folder / f"{number}-{Path(path).name}")
    (folder / "empty.exe").write_bytes(b"")
    (folder / "notes.txt").write_text("not an executable")
    return folder


def write_verdicts(file: Path, source: Path, who: str = "demo", malicious: int = 2) -> Path:
    """Verdicts on all that lies in a folder: the first `malicious` of them say so."""
    rows = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in source.iterdir())
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["sha256", "verdict", "reporter", "reported_at", "first_seen"])
        for number, sha256 in enumerate(rows):
            verdict = "malicious" if number < malicious else "benign"
            writer.writerow([sha256, verdict, who, f"2024-0{number % 9 + 1}-01", "2024-01-02"])
    return file


@pytest.fixture
def verdicts(tmp_path: Path, source: Path) -> Path:
    return write_verdicts(tmp_path / "verdicts.csv", source)


def chain(root: Path, *arguments: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_chain", root, *arguments],
        cwd=REPO, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


class Corpus:
    """A corpus driven by its command, as a person or an operator drives it."""

    def __init__(self, root: Path, source: Path, verdicts: Path):
        self.options = [
            *("--root", root, "--set", f"sources.urls={json.dumps([str(source)])}"),
            *("--set", f"verdicts.feeds={json.dumps([{'place': str(verdicts), 'reporter': '*'}])}"),
        ]

    def call(self, *arguments: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "corpus", *map(str, [*self.options, *arguments])],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def json(self, *arguments: Any) -> Any:
        done = self.call(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def update(self, name: str, services: str) -> subprocess.CompletedProcess[str]:
        """Run services in order; stops at the first that does not succeed, and returns it."""
        for service in services.split():
            done = self.call(service, "--update", name)
            if done.returncode:
                break
        return done


ALL = "collect ingest import-verdicts label extract group split validate publish"


@pytest.mark.timeout(600)
def test_kill_9_at_any_write_of_any_service_changes_nothing(tmp_path, source, verdicts):
    undisturbed = chain(tmp_path / "a", source, verdicts, "--undisturbed")
    disturbed = chain(tmp_path / "b", source, verdicts)
    assert undisturbed.pop("kills") == 0
    assert disturbed.pop("kills") > 30
    assert undisturbed["findings"] == []
    assert undisturbed["counts"]["samples"] == 8
    assert disturbed == undisturbed


@contextmanager
def filled(disk: Path, left: int) -> Iterator[None]:
    """Meanwhile so many bytes are left on it."""
    fill(disk / "filler", left)
    yield
    (disk / "filler").unlink()


@pytest.mark.parametrize("left", [12_288, 0] if FULL else [12_288])
def test_a_service_on_a_full_disk_says_so_and_goes_on_with_room(tmp_path, source, verdicts, left):
    met = []
    with small_disk(tmp_path / "disk", 32) as disk:
        undisturbed = Corpus(tmp_path / "undisturbed", source, verdicts)
        assert undisturbed.update("one", ALL).returncode == 0
        corpus = Corpus(disk / "c", source, verdicts)
        for service in ALL.split():
            with filled(disk, left):
                full = corpus.call(service, "--update", "one")
            if full.returncode:
                met.append(service)
                assert full.returncode == 75, full.stderr
                assert "No space left on device" in full.stderr
                assert "Traceback" not in full.stderr
            again = corpus.call(service, "--update", "one")
            assert again.returncode == 0, again.stderr
        assert corpus.json("verify", "latest")["ok"]
        digests = [one.json("snapshots", "show", "latest") for one in (undisturbed, corpus)]
    assert digests[0]["content_digest"] == digests[1]["content_digest"]
    # With no room at all none can do anything; with a little, none can do all but what writes little.
    assert met == ALL.split() if not left else "publish" in met


def test_of_two_updates_at_once_one_wins_and_the_other_says_why(tmp_path, source, verdicts):
    corpus = Corpus(tmp_path / "c", source, verdicts)
    almost = ALL.removesuffix(" publish")
    assert corpus.update("first", almost).returncode == 0
    assert corpus.update("second", almost).returncode == 0
    assert corpus.update("first", "publish").returncode == 0
    lost = corpus.update("second", "publish")
    assert lost.returncode == 5
    assert "first" in lost.stderr
    assert "Start a new update" in lost.stderr
    assert [entry["id"] for entry in corpus.json("snapshots", "list")] == ["first"]
    # The loser's input is in the winner's snapshot: a third update has nothing to do.
    assert corpus.update("third", ALL).returncode == 3


def test_a_second_update_has_just_what_was_added(tmp_path, source, verdicts):
    corpus = Corpus(tmp_path / "c", source, verdicts)
    assert corpus.update("one", ALL).returncode == 0
    nothing = corpus.update("again", ALL)
    assert nothing.returncode == 3
    assert "nothing new since snapshot one" in nothing.stderr
    shutil.copyfile(real_pes()[6], source / "new.exe")
    assert corpus.update("two", ALL).returncode == 0
    changed = corpus.json("diff", "one", "two")
    assert changed["added"] == [hashlib.sha256((source / "new.exe").read_bytes()).hexdigest()]
    assert not changed["removed"]
    assert not changed["moved"]


def test_a_late_verdict_relabels_in_the_next_snapshot(tmp_path, source, verdicts):
    corpus = Corpus(tmp_path / "c", source, verdicts)
    assert corpus.update("one", ALL).returncode == 0
    # An analyst is believed before a manifest, and finds all of it harmless.
    write_verdicts(verdicts, source, who="analyst", malicious=0)
    assert corpus.update("two", ALL).returncode == 0
    relabelled = corpus.json("diff", "one", "two")["relabelled"]
    assert {(row["from"], row["to"]) for row in relabelled} == {("malicious", "benign")}
    assert corpus.json("snapshots", "show", "one")["counts"]["labels"]["malicious"] == len(
        relabelled
    )


def test_a_blocked_update_publishes_nothing_and_says_why(tmp_path, source, verdicts):
    corpus = Corpus(tmp_path / "c", source, verdicts)
    corpus.options += ["--set", "gates.min_class_share_block=0.49"]
    blocked = corpus.update("one", ALL)
    assert blocked.returncode == 4
    assert "label_balance" in blocked.stderr
    assert "0.49" in blocked.stderr
    assert corpus.call("publish", "--update", "one").returncode == 4
    assert corpus.json("snapshots", "list") == []
    corpus.options = corpus.options[:-2]
    assert corpus.update("two", ALL).returncode == 0


def test_a_malformed_verdict_is_left_out_by_its_row_and_the_others_are_taken(
    tmp_path, source, verdicts
):
    corpus = Corpus(tmp_path / "c", source, verdicts)
    verdicts.write_text(verdicts.read_text() + "nonsense,benign,demo,2024-01-01,\n")
    taken = corpus.update("one", "collect import-verdicts")
    assert taken.returncode == 0, taken.stderr
    assert f"{verdicts}: 1 of 11 rows are left out: bad_hash 1 (row 11)" in taken.stderr
    assert list((tmp_path / "c").rglob("verdicts/*.parquet"))


def test_a_verdict_file_that_is_none_stages_nothing(tmp_path, source, verdicts):
    corpus = Corpus(tmp_path / "c", source, verdicts)
    verdicts.write_bytes(real_elfs()[0].read_bytes())
    refused = corpus.update("one", "collect import-verdicts")
    assert refused.returncode == 2
    assert f"{verdicts}: is not a verdict file" in refused.stderr
    assert not list((tmp_path / "c").rglob("verdicts/*.parquet"))
