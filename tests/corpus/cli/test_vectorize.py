"""`corpus vectorize` as a script sees it: rows, failures, exit status, and what is left behind."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus import features

BASIC = features.get("basic-v1")
SHELL = Path("/bin/true").resolve().read_bytes()


def command(*arguments: object) -> list[str]:
    options = ["vectorize", "--feature-set", "basic-v1", *map(str, arguments)]
    return [sys.executable, "-m", "corpus", *options]


def vectorize(
    *arguments: object, stdin: bytes = b"", settings: str = ""
) -> subprocess.CompletedProcess[bytes]:
    called = command(*arguments)
    called[3:3] = ["--set", settings] if settings else []
    environment = {**os.environ, "CORPUS_CONFIG": "/nonexistent"}
    return subprocess.run(called, input=stdin, capture_output=True, env=environment, check=False)


def load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Six files in three folders; the sixth has the content of the first."""
    folder = tmp_path / "samples"
    contents = {
        "a.exe": SHELL,
        "b/one": SHELL + b"one",
        "b/two": b"two" * 500,
        "b.exe": b"MZ" + bytes(200),
        "c/deep/z": b"#!/bin/sh\n",
        "d": SHELL,
    }
    for name, data in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """Where to write to; what is not the result must be gone afterwards."""
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "vectors.npz"
    yield path
    assert {entry.name for entry in path.parent.iterdir()} <= {"vectors.npz", "raw.jsonl"}


def expected(paths: list[Path]) -> dict[str, Any]:
    contents = [path.read_bytes() for path in paths]
    return {
        "sha256": [hashlib.sha256(data).hexdigest() for data in contents],
        "paths": list(map(str, paths)),
        "X": np.stack([BASIC.vector(data) for data in contents]),
    }


def assert_rows(archive: dict[str, np.ndarray], paths: list[Path]) -> None:
    rows = expected(paths)
    assert archive["sha256"].tolist() == rows["sha256"]
    assert archive["paths"].tolist() == rows["paths"]
    assert archive["X"].dtype == np.float32
    np.testing.assert_array_equal(archive["X"], rows["X"])


@pytest.mark.parametrize("options", [["--jobs", 1], ["--jobs", 3], ["--no-sandbox"], []])
def test_rows_are_in_the_order_given_and_equal_vectors_of_python(samples, out, tmp_path, options):
    listed = tmp_path / "list"
    listed.write_text(f"{samples / 'd'}\n\n  \n{samples / 'c'}\r\n{samples / 'd'}\n")
    ended = vectorize("--out", out, "--from-list", listed, *options, samples, samples / "b/two")
    assert ended.returncode == 0, ended.stderr.decode()
    archive = load(out)
    folder = ["a.exe", "b.exe", "b/one", "b/two", "c/deep/z", "d"]
    rest = ["b/two", "d", "c/deep/z", "d"]
    assert_rows(archive, [samples / name for name in folder + rest])
    assert archive["feature_set"].item() == "basic-v1"
    assert archive["failures"].shape == (0, 2)


def test_a_file_that_fails_costs_its_row_and_no_other(samples, out):
    (samples / "b/empty").touch()
    os.mkfifo(samples / "b/pipe")
    (samples / "b/link").symlink_to("nowhere")
    given = [samples / "gone", samples, samples / "a.exe" / "below", samples / "d"]
    ended = vectorize("--out", out, "--json", *given)
    assert ended.returncode == 0, ended.stderr.decode()
    archive = load(out)
    sound = ["a.exe", "b.exe", "b/one", "b/two", "c/deep/z", "d", "d"]
    assert_rows(archive, [samples / name for name in sound])
    assert archive["failures"].tolist() == [
        [str(samples / "gone"), "missing"],
        [str(samples / "b/empty"), "empty"],
        [str(samples / "b/link"), "missing"],
        [str(samples / "b/pipe"), "unreadable"],
        [str(samples / "a.exe/below"), "missing"],
    ]
    assert "not a regular file" in archive["failure_detail"].tolist()
    report = json.loads(ended.stdout)
    assert report["failures"] == {"empty": 1, "missing": 3, "unreadable": 1}
    assert (report["files"], report["vectors"]) == (12, 7)


def test_limits_are_those_of_the_settings(tmp_path, out):
    large, small = tmp_path / "large", tmp_path / "small"
    with large.open("wb") as stream:
        stream.truncate(65 * 2**20)
    small.write_bytes(SHELL)
    ended = vectorize("--out", out, large, small, settings="features.memory_bytes=67108864")
    assert ended.returncode == 0, ended.stderr.decode()
    assert_rows(load(out), [small])
    assert load(out)["failures"].tolist() == [[str(large), "memory"]]

    ended = vectorize("--out", out, large, settings="features.timeout_s=0.001")
    assert ended.returncode == 2
    archive = load(out)
    assert archive["failures"].tolist() == [[str(large), "timeout"]]
    assert archive["failure_elapsed_s"][0] >= 0.001
    assert archive["failure_peak_memory_bytes"][0] > 0


def test_where_all_fail_the_status_says_so_and_the_reasons_are_there(tmp_path, out):
    ended = vectorize("--out", out, tmp_path / "gone")
    assert ended.returncode == 2
    assert b"1 of 1 files failed: 1 missing" in ended.stderr
    assert load(out)["X"].shape == (0, BASIC.dim)
    assert load(out)["failures"].tolist() == [[str(tmp_path / "gone"), "missing"]]


def test_strict_fails_for_one_failure(samples, out):
    ended = vectorize("--out", out, "--strict", samples / "d", samples / "gone")
    assert ended.returncode == 2
    assert_rows(load(out), [samples / "d"])
    assert vectorize("--out", out, "--strict", samples / "d").returncode == 0


def test_a_list_from_standard_input_may_name_any_path(tmp_path, out):
    odd = os.fsencode(tmp_path) + b"/caf\xe9 \xf0\x9f\x90\x9f"  # codespell:ignore
    Path(os.fsdecode(odd)).write_bytes(SHELL)
    ended = vectorize("--out", out, "--from-list", "-", stdin=b"\n" + odd + b"\n" + odd)
    assert ended.returncode == 0, ended.stderr.decode()
    assert [os.fsencode(path) for path in load(out)["paths"].tolist()] == [odd, odd]


@pytest.mark.parametrize("folder", [False, True])
def test_no_files_are_an_empty_archive_and_a_word_about_it(out, tmp_path, folder):
    (tmp_path / "empty").mkdir()
    ended = vectorize("--out", out, *([tmp_path / "empty"] if folder else ["--from-list", "-"]))
    assert ended.returncode == 0
    assert b"There was no file in what was given" in ended.stderr
    archive = load(out)
    assert archive["X"].shape == (0, BASIC.dim)
    assert len(archive["sha256"]) == len(archive["paths"]) == len(archive["failures"]) == 0


@pytest.mark.parametrize("options", [[], ["--no-sandbox"]])
def test_raw_features_are_json_rows_that_give_the_same_vectors(samples, out, options):
    raw = out.with_name("raw.jsonl")
    ended = vectorize("--out", out, "--raw", raw, *options, samples, samples / "gone")
    assert ended.returncode == 0, ended.stderr.decode()
    archive = load(out)
    rows = [json.loads(line) for line in raw.read_text().splitlines()]
    assert [row["sha256"] for row in rows] == archive["sha256"].tolist()
    for row, vector in zip(rows, archive["X"], strict=True):
        np.testing.assert_array_equal(BASIC.vectorize(row["raw"]), vector)


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--out", "OUT"], 2, "no file is given"),
        (["--out", "OUT", "--from-list", "/nonexistent/list"], 2, "/nonexistent/list"),
        (["--out", "OUT", "--no-sandbox", "--jobs", "2", "/bin/true"], 2, "one job only"),
        (["--out", "OUT", "--jobs", "0", "/bin/true"], 2, "--jobs"),
        (["--out", "/nonexistent/x.npz", "/bin/true"], 2, "/nonexistent/x.npz"),
        (["--out", "OUT", "--raw", "/nonexistent/x", "/bin/true"], 2, "/nonexistent/x"),
        (["--out", "OUT", "--raw", "OUT", "/bin/true"], 2, "the same file"),
        (["--out", "-", "/bin/true"], 2, "'--out': goes to a file, not to standard output"),
        (["--out", "OUT", "--raw", "-", "/bin/true"], 2, "'--raw': goes to a file"),
        (["--out", "OUT", "--feature-set", "basic-v0", "/bin/true"], 6, "basic-v0"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(out, options, status, words):
    ended = vectorize(*[str(out) if option == "OUT" else option for option in options])
    assert ended.returncode == status
    assert words in ended.stderr.decode()
    assert b"Traceback" not in ended.stderr
    assert not out.exists()


@pytest.mark.parametrize("option", ["--out", "--raw"])
def test_what_is_no_file_is_not_replaced_by_one(tmp_path, option):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    files = {"--out": tmp_path / "x.npz", "--raw": tmp_path / "x.jsonl", option: pipe}
    ended = vectorize(*[part for pair in files.items() for part in pair], "/bin/true")
    assert ended.returncode == 2
    assert f"{pipe}: is there, and not a regular file." in ended.stderr.decode()
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "x.npz", tmp_path / "link.npz"
    target.write_bytes(b"old")
    link.symlink_to(target)
    ended = vectorize("--out", link, "/bin/true")
    assert ended.returncode == 0, ended.stderr.decode()
    assert link.is_symlink()
    assert_rows(load(target), [Path("/bin/true")])
    assert list(target.parent.iterdir()) == [target]


def test_what_is_being_written_is_not_among_the_files_of_its_folder(tmp_path):
    (tmp_path / "a").write_bytes(b"some bytes")
    out, raw = tmp_path / "x.npz", tmp_path / "x.jsonl"
    ended = vectorize("--out", out, "--raw", raw, "--strict", tmp_path)
    assert ended.returncode == 0
    with np.load(out, allow_pickle=False) as archive:
        assert archive["paths"].tolist() == [str(tmp_path / "a")]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
@pytest.mark.usefixtures("interruptible")
def test_stopped_half_way_it_leaves_the_old_file_and_nothing_else(samples, out, number, status):
    out.write_bytes(b"old")
    raw = out.with_name("raw.jsonl")
    called = command("--out", out, "--raw", raw, "--from-list", "-")
    with subprocess.Popen(called, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        # Enough for a first line of progress; the list then goes on for ever.
        process.stdin.write(f"{samples}\n".encode() * 20)
        process.stdin.flush()
        assert process.stderr.readline().startswith(b"vectorize")
        process.send_signal(number)
        assert process.wait(60) == status
    assert out.read_bytes() == b"old"
    assert not raw.exists()


def test_progress_goes_to_the_terminal_and_the_summary_tells_the_speed(samples, out, tmp_path):
    result = tmp_path / "result.json"
    called = command("--out", out, samples)
    called[3:3] = ["--result", str(result)]
    ended = subprocess.run(called, capture_output=True, text=True, check=True)
    assert "vectorize" in ended.stderr
    assert "of 6" in ended.stderr
    for words in ("files per s", "mb per s", "vectors"):
        assert words in ended.stdout
    outcome = json.loads(result.read_text())
    assert outcome["status"] == "ok"
    assert outcome["report"]["files_per_s"] > 0
