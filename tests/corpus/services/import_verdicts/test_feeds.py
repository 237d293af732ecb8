"""Feeds: authority comes from where a file lies, and one wrong row is left out, counted and shown."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from corpus.errors import BadInputError, BadSettingError
from corpus.settings import Settings
from corpus.store.snapshots import Snapshot
from corpus.store.staging import Update
from tests.support.verdict_corpus import DATA, FEEDS, Corpus, sha

pytestmark = pytest.mark.fast


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path)


def feed(corpus: Corpus, **said: Any) -> None:
    corpus.overrides = {"verdicts": {"feeds": [{"place": str(corpus.verdicts), **said}]}}


def staged(corpus: Corpus, table: str, update: str = "u1") -> list[dict[str, Any]]:
    return Update.open(corpus.context.store, update).read(table).to_pylist()


def report_of(name: str) -> dict[str, Any]:
    report = json.loads((DATA / "v3.json").read_bytes())
    report["data"]["attributes"]["sha256"] = sha(name)
    return dict(report["data"])


class TestWhoMaySpeak:
    def test_a_row_for_another_reporter_is_left_out(self, corpus: Corpus) -> None:
        feed(corpus, reporter=["acme", "Bob"])
        corpus.manifest(
            "a.csv",
            {"sha256": "one", "verdict": "benign", "reporter": "analyst"},
            {"sha256": "two", "verdict": "benign", "reporter": "ACME"},
            {"sha256": "three", "verdict": "benign", "reporter": "bob"},
            {"sha256": "four", "verdict": "benign"},
        )
        report = corpus.import_verdicts("u1")
        assert (report.verdicts, report.rejects) == (3, {"reporter_not_allowed": 1})
        assert {row["reporter"] for row in staged(corpus, "verdicts")} == {"ACME", "bob", "acme"}

    def test_a_feed_without_reporters_speaks_as_its_format_does(self, corpus: Corpus) -> None:
        feed(corpus)
        corpus.manifest("a.csv", {"sha256": "one", "verdict": "benign"})
        (corpus.verdicts / "b.json").write_text(json.dumps(report_of("one")))
        corpus.import_verdicts("u1")
        found = {(row["reporter"], row["source_kind"]) for row in staged(corpus, "verdicts")}
        assert found == {("manifest", "manifest"), ("virustotal", "virustotal")}

    def test_a_report_speaks_for_virustotal_only_where_the_feed_may(self, corpus: Corpus) -> None:
        feed(corpus, reporter="acme")
        (corpus.verdicts / "b.json").write_text(json.dumps(report_of("one")))
        with pytest.raises(BadInputError, match="may not speak for that reporter"):
            corpus.import_verdicts("u1")

    def test_what_was_typed_speaks_as_form_and_is_believed_last(self, corpus: Corpus) -> None:
        typed = corpus.folder / "typed.csv"
        corpus.manifest("a.csv", {"sha256": "one", "verdict": "malicious"})
        corpus.begin("u1", ["one", "two"])
        lines = "".join(f"{sha(name)},benign,analyst\n" for name in ("one", "two"))
        typed.write_text(f"sha256,verdict,reporter\n{lines}")
        corpus.import_verdicts("u1", urls=[str(typed), str(corpus.verdicts)])
        corpus.label("u1")
        corpus.publish("u1")
        labels = corpus.labels()
        assert labels[sha("one")]["label"] == "malicious"
        assert (labels[sha("two")]["label"], labels[sha("two")]["reason"]) == ("benign", "form")

    def test_what_lies_in_a_feed_keeps_its_voice_when_it_is_typed(self, corpus: Corpus) -> None:
        path = corpus.manifest("a.csv", {"sha256": "one", "verdict": "benign", "reporter": "bob"})
        corpus.import_verdicts("u1", urls=[f"file://{corpus.verdicts}/./{path.name}"])
        assert [row["reporter"] for row in staged(corpus, "verdicts")] == ["bob"]

    def test_a_link_in_a_feed_does_not_lend_its_voice(self, corpus: Corpus) -> None:
        typed = corpus.folder / "typed.csv"
        typed.write_text(f"sha256,verdict,reporter\n{sha('one')},benign,analyst\n")
        (corpus.verdicts / "link.csv").symlink_to(typed)
        with pytest.raises(BadInputError, match="is reached through a link"):
            corpus.import_verdicts("u1", urls=[str(corpus.verdicts / "link.csv")])

    def test_a_file_that_was_typed_once_is_read_again_as_a_feed(self, corpus: Corpus) -> None:
        outside = corpus.folder / "outside"
        outside.mkdir()
        (outside / "a.csv").write_text(f"sha256,verdict\n{sha('one')},benign\n")
        corpus.begin("u1", ["one"])
        corpus.import_verdicts("u1", urls=[str(outside)])
        corpus.label("u1")
        corpus.publish("u1")
        corpus.overrides = {"verdicts": {"feeds": [{"place": str(outside), "reporter": "bob"}]}}
        assert corpus.import_verdicts("u2").verdicts == 1

    def test_names_are_compared_in_any_case(self, corpus: Corpus) -> None:
        corpus.manifest("a.csv", {"sha256": "one", "verdict": "malicious"})
        corpus.manifest("b.csv", {"sha256": "one", "verdict": "benign", "reporter": "AnalYst"})
        corpus.update("u1", ["one"])
        assert corpus.labels()[sha("one")]["reason"].startswith("analyst")
        assert corpus.labels()[sha("one")]["label"] == "benign"

    def test_verdicts_urls_is_refused_saying_what_to_write(self) -> None:
        with pytest.raises(BadSettingError, match=r"\[\[verdicts\.feeds\]\]") as caught:
            Settings.load({"verdicts": {"urls": ["/somewhere"]}})
        assert caught.value.field == "verdicts.urls"


class TestBadRows:
    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("v2_scans_null.jsonl", "no_engines"), ("v3_results_missing.jsonl", "no_engines"),
            ("v3_sha256_only_as_id.jsonl", "bad_hash"), ("v2_first_1970.jsonl", "bad_date"),
        ],
    )  # fmt: skip
    def test_one_such_report_among_good_ones(self, corpus: Corpus, name: str, reason: str) -> None:
        lines = (FEEDS / name).read_text().splitlines()
        good = [json.dumps(report_of(str(number))) for number in range(20)]
        (corpus.verdicts / "feed.jsonl").write_text("\n".join(good + lines))
        report = corpus.import_verdicts("u1")
        assert report.rejects[reason] >= 1
        assert report.verdicts >= 20
        (reject,) = staged(corpus, "rejects")
        assert (reject["reason"], reject["files"]) == (f"verdict_{reason}", report.rejects[reason])
        assert "row 2" in reject["detail"]

    def test_every_kind_of_wrong_row_has_its_reason(self, corpus: Corpus) -> None:
        good = {"sha256": sha("one"), "verdict": "benign"}
        rows = [
            json.dumps(good),
            json.dumps(good | {"reported_at": "2099-01-01"}),
            json.dumps(good | {"reported_at": 0}),
            json.dumps(good)[:-1] + ', "verdict": "malicious"}',
            json.dumps(good)[:-5],
            json.dumps(good | {"sha256": "1"}),
            json.dumps(good | {"confidence": 7}),
            '{"name": 1}',
            "[1]",
        ]
        (corpus.verdicts / "feed.jsonl").write_text("\n".join(rows))
        report = corpus.import_verdicts("u1")
        assert report.verdicts == 1
        assert report.rejects == {
            "future_date": 1, "bad_date": 1, "duplicate_key": 1, "not_json": 1, "bad_hash": 1, "bad_value": 2,
            "no_verdict": 1,
        }  # fmt: skip

    def test_a_file_of_which_all_rows_are_wrong_is_refused(self, corpus: Corpus) -> None:
        rows = [{"sha256": "one", "verdict": "evil"}, {"sha256": "two", "verdict": "evil"}]
        path = corpus.manifest("a.csv", *rows)
        corpus.manifest("b.csv", {"sha256": "one", "verdict": "benign"})
        with pytest.raises(BadInputError, match="All 2 rows") as caught:
            corpus.import_verdicts("u1")
        assert caught.value.fields == {"file": str(path), "row": 1, "field": "verdict"}

    def test_of_files_with_a_report_each_a_wrong_one_is_left_out(self, corpus: Corpus) -> None:
        for number in range(3):
            path = corpus.verdicts / f"{number}.json"
            path.write_text(json.dumps(report_of(str(number))))
        wrong = (FEEDS / "v3_sha256_only_as_id.jsonl").read_text().splitlines()[-1]
        (corpus.verdicts / "wrong.json").write_text(wrong)
        corpus.update("u1", ["1"])
        assert len(Snapshot.open(corpus.context.store).scan("verdicts")) == 3
        # It is not marked as seen, and is no reason to refuse the next update either.
        report = corpus.import_verdicts("u2")
        assert (report.files, report.rejects, report.without_verdict) == (1, {"bad_hash": 1}, 1)
        # The table of rejects has it once.
        assert staged(corpus, "rejects", "u2") == []

    def test_rejects_are_read_again_when_the_feed_may_say_more(self, corpus: Corpus) -> None:
        feed(corpus, reporter="acme")
        rows = [{"sha256": "one", "verdict": "benign", "reporter": who} for who in ("acme", "bob")]
        corpus.manifest("a.csv", *rows)
        corpus.update("u1")
        assert corpus.import_verdicts("u2").files == 0
        feed(corpus, reporter=["acme", "bob"])
        report = corpus.import_verdicts("u3")
        assert (report.files, report.verdicts, report.rejects) == (1, 1, {})

    def test_the_first_rows_are_named(self, corpus: Corpus) -> None:
        rows = [{"sha256": str(n), "verdict": "evil" if n % 2 else "benign"} for n in range(60)]
        corpus.manifest("a.csv", *rows)
        corpus.import_verdicts("u1")
        (reject,) = staged(corpus, "rejects")
        assert reject["detail"].startswith(
            "rows 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 and 20 more; row 2, field 'verdict'"
        )


class TestWithoutVerdict:
    @pytest.mark.parametrize("name", ["v3_quota_error.jsonl", "empty.json"])
    def test_it_is_not_marked_as_seen(self, corpus: Corpus, name: str) -> None:
        content = (FEEDS / name).read_bytes() if name != "empty.json" else b""
        (corpus.verdicts / name).write_bytes(content)
        corpus.update("u1")
        report = corpus.import_verdicts("u2")
        assert (report.files, report.verdicts, report.without_verdict) == (1, 0, 1)
        assert report.no_report == (1 if content else 0)

    def test_verdicts_by_md5_wait_for_their_samples(self, corpus: Corpus) -> None:
        md5 = {name: hashlib.md5(name.encode()).hexdigest() for name in ("one", "two")}
        (corpus.verdicts / "md5.csv").write_text(
            "md5,verdict\n" + "".join(f"{digest.upper()},benign\n" for digest in md5.values())
        )

        def update(name: str, sample: str) -> Any:
            opened = corpus.begin(name)
            opened.write("samples", [{"sha256": sha(sample), "md5": md5[sample]}])
            report = corpus.import_verdicts(name)
            corpus.label(name)
            corpus.publish(name)
            return report

        assert update("u1", "one").unknown_hashes == 2
        second = update("u2", "two")
        assert (second.verdicts, second.unknown_hashes) == (1, 1)
        assert (corpus.import_verdicts("u3").verdicts, corpus.labels()[sha("one")]["label"]) == (
            1,
            "benign",
        )


class TestFolders:
    def test_folders_are_labels(self, corpus: Corpus) -> None:
        feed(corpus, format="folders", reporter="lab")
        place = corpus.verdicts
        for path, content in {
            f"2024/malware/Emotet/{sha('named')}.exe": b"never read",
            "goodware/setup.exe": b"setup",
            "incoming/a.exe": b"a",
        }.items():
            (place / path).parent.mkdir(parents=True)
            (place / path).write_bytes(content)
        report = corpus.import_verdicts("u1")
        assert (report.verdicts, report.rejects) == (2, {"no_verdict": 1})
        found = {row["sha256"]: row for row in staged(corpus, "verdicts")}
        setup = hashlib.sha256(b"setup").hexdigest()
        assert (found[sha("named")]["verdict"], found[sha("named")]["family"]) == (
            "malicious",
            "emotet",
        )
        assert (found[setup]["verdict"], found[setup]["reporter"]) == ("benign", "lab")


def test_a_file_of_nothing_but_wrong_rows_is_not_read_to_its_end(corpus: Corpus) -> None:
    (corpus.verdicts / "a.json").write_bytes(b"[" + b"{}," * 150_000 + b"{}]")
    with pytest.raises(BadInputError, match="All 100000 rows that were read are wrong"):
        corpus.import_verdicts("u1")
