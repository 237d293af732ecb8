"""import-verdicts: what is read, what is staged, and what is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import fsspec
import pytest

from corpus.errors import BadInputError
from corpus.store.snapshots import Snapshot
from corpus.store.staging import Update
from tests.support.verdict_corpus import DATA, Corpus, sha

pytestmark = pytest.mark.fast


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path)


def staged(corpus: Corpus, update: str) -> Update:
    return Update.open(corpus.context.store, update)


def test_every_kind_of_file_at_once(corpus: Corpus) -> None:
    for path in DATA.iterdir():
        shutil.copy(path, corpus.verdicts)
    (corpus.verdicts / ".hidden").write_text("not a verdict file")
    report = corpus.import_verdicts("u1")
    assert report.files == 8
    # The two manifests say the same, and so do all files of one version of VirusTotal's API about A.
    assert (report.verdicts, report.duplicates) == (8, 7)
    assert report.samples == 3
    assert report.by_verdict == {"malicious": 3, "benign": 2, "unknown": 3}
    assert report.rejects == {"no_engines": 1}
    rows = staged(corpus, "u1").read("verdicts").to_pylist()
    assert {row["update_id"] for row in rows} == {"u1"}
    assert all(Path(row["file"]).parent == corpus.verdicts and row["row"] >= 1 for row in rows)
    assert staged(corpus, "u1").reports("import-verdicts") == [report.model_dump(mode="json")]


def test_a_file_is_read_again_only_when_it_has_changed(corpus: Corpus) -> None:
    corpus.manifest("a.csv", {"sha256": "one", "verdict": "malicious"})
    corpus.manifest("b.csv", {"sha256": "two", "verdict": "benign"})
    corpus.update("u1")
    report = corpus.import_verdicts("u2")
    assert (report.files, report.already_seen, report.verdicts) == (0, 2, 0)
    assert staged(corpus, "u2").parts("verdicts") == []

    with open(corpus.verdicts / "b.csv", "a") as stream:
        stream.write(f"{sha('three')},malicious,,,,\n")
    report = corpus.import_verdicts("u3")
    assert (report.files, report.already_seen) == (1, 1)
    assert (report.verdicts, report.duplicates, report.samples) == (1, 1, 1)
    assert staged(corpus, "u3").read("verdicts")["sha256"].to_pylist() == [sha("three")]
    corpus.publish("u3")
    assert corpus.import_verdicts("u4").already_seen == 2


def test_a_rescan_reads_everything_and_adds_nothing(corpus: Corpus) -> None:
    corpus.manifest("a.csv", {"sha256": "one", "verdict": "malicious"})
    corpus.update("u1")
    report = corpus.import_verdicts("u2", rescan=True)
    assert (report.files, report.verdicts, report.duplicates) == (1, 0, 1)


def test_a_run_again_replaces_what_it_staged(corpus: Corpus) -> None:
    path = corpus.manifest("a.csv", {"sha256": "one", "verdict": "malicious"})
    first = corpus.import_verdicts("u1")
    digest = staged(corpus, "u1").staged_digest()
    assert corpus.import_verdicts("u1") == first
    assert staged(corpus, "u1").staged_digest() == digest
    path.unlink()
    assert corpus.import_verdicts("u1").verdicts == 0
    assert staged(corpus, "u1").read("verdicts").num_rows == 0
    assert staged(corpus, "u1").read("seen_files").num_rows == 0


def test_a_file_seen_by_collect_does_not_hide_a_verdict_file(corpus: Corpus) -> None:
    path = corpus.manifest("a.csv", {"sha256": "one", "verdict": "malicious"})
    found = path.stat()
    seen_file = {
        "location": str(path),
        "fingerprint": f"{found.st_size}/{found.st_mtime_ns}",
        "source": str(corpus.verdicts),
    }
    corpus.begin("u0").write("seen_files", [seen_file], "shard-0001")
    corpus.publish("u0")
    assert corpus.import_verdicts("u1").verdicts == 1


def test_no_feeds(corpus: Corpus) -> None:
    corpus.overrides = {"verdicts": {"feeds": []}}
    report = corpus.import_verdicts("u1")
    assert (report.files, report.verdicts, report.already_seen) == (0, 0, 0)
    assert report.by_verdict == {"malicious": 0, "benign": 0, "unknown": 0}
    assert staged(corpus, "u1").tables() == []


def test_urls_of_the_request_come_before_the_settings(corpus: Corpus) -> None:
    corpus.manifest("a.csv", {"sha256": "one", "verdict": "malicious"})
    report = corpus.import_verdicts("u1", urls=[str(DATA / "manifest.csv")])
    assert (report.files, report.verdicts) == (1, 3)


def test_a_file_that_two_urls_name_is_read_once(corpus: Corpus) -> None:
    path = corpus.manifest("a.csv", {"sha256": "one", "verdict": "malicious"})
    report = corpus.import_verdicts("u1", urls=[str(path), str(corpus.verdicts)])
    assert (report.files, report.verdicts, report.duplicates) == (1, 1, 0)


def test_a_remote_url(corpus: Corpus) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/verdicts-test/day/one.jsonl", (DATA / "v3.jsonl").read_bytes())
    try:
        report = corpus.import_verdicts("u1", urls=["memory://verdicts-test"])
        assert (report.files, report.verdicts, report.rejects) == (1, 1, {"no_engines": 1})
    finally:
        memory.rm("/verdicts-test", recursive=True)


def test_a_name_that_is_not_utf_8(corpus: Corpus) -> None:
    path = corpus.manifest("a.csv", {"sha256": "one", "verdict": "malicious"})
    os.rename(path, os.fsencode(corpus.verdicts) + b"/b\xff\n.csv")
    corpus.update("u1", ["one"])
    rows = Snapshot.open(corpus.context.store).scan("verdicts").to_pylist()
    assert [row["file"] for row in rows] == [f"{corpus.verdicts}/b%FF%0A.csv"]
    assert corpus.import_verdicts("u2").already_seen == 1


def test_one_wrong_row_stages_nothing_where_the_feed_is_strict(corpus: Corpus) -> None:
    feed = {"place": str(corpus.verdicts), "reporter": "*", "on_bad_row": "refuse"}
    corpus.overrides = {"verdicts": {"feeds": [feed]}}
    corpus.manifest("a.csv", {"sha256": "one", "verdict": "malicious"})
    path = corpus.manifest(
        "b.csv",
        {"sha256": "one", "verdict": "malicious"},
        {"sha256": "two", "verdict": "evil"},
    )
    with pytest.raises(BadInputError) as caught:
        corpus.import_verdicts("u1")
    assert caught.value.fields == {"file": str(path), "row": 2, "field": "verdict"}
    assert staged(corpus, "u1").tables() == []


def test_a_url_that_does_not_exist(corpus: Corpus) -> None:
    for url in (str(corpus.folder / "nowhere"), "memory://verdicts-test/nowhere"):
        with pytest.raises(BadInputError, match=r"no such verdict file.*verdicts\.feeds") as caught:
            corpus.import_verdicts("u1", urls=[url])
        assert caught.value.file == url
