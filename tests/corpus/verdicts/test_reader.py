"""Verdict files of every kind, from bytes to verdicts."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import BadInputError
from corpus.rows.row import BadRow
from corpus.settings import Feed, VerdictSettings
from corpus.verdicts.outcome import NoReport, Outcome
from corpus.verdicts.reader import VerdictReader
from corpus.verdicts.record import Verdict
from tests.support.verdict_corpus import DATA, FEEDS

A, B, C = "a1" * 32, "b2" * 32, "c3" * 32


def read(content: bytes, settings: VerdictSettings | None = None) -> list[Verdict]:
    return [each for each in outcomes(content, settings) if isinstance(each, Verdict)]


def outcomes(content: bytes, settings: VerdictSettings | None = None, **feed: Any) -> list[Outcome]:
    reader = VerdictReader(settings or VerdictSettings())
    return list(reader.read(io.BytesIO(content), "f", Feed(place="f", **feed)))


def read_sample(name: str) -> list[Verdict]:
    return read((DATA / name).read_bytes())


def refusal(content: bytes) -> dict[str, Any]:
    """Where it is wrong: the file itself, or the first row that is left out."""
    try:
        bad = [each for each in outcomes(content) if isinstance(each, BadRow)]
        error = bad[0].error("f")
    except BadInputError as refused:
        error = refused
    assert error.file == "f"
    return error.fields


def csv(*rows: str, header: str = "sha256,verdict,reporter,reported_at,confidence") -> bytes:
    return "\n".join([header, *rows]).encode()


class TestManifest:
    def test_csv_with_its_defaults(self) -> None:
        alice, nobody, bob = read_sample("manifest.csv")
        assert alice[:7] == (
            A, "malicious", "alice", datetime(2024, 5, 1, tzinfo=UTC), 0.9, "emotet", 0.9,
        )  # fmt: skip
        assert alice.first_seen == datetime(2023, 12, 31, 22, tzinfo=UTC)
        assert nobody[:7] == (B, "benign", "manifest", None, 1.0, None, None)
        assert bob[:7] == (
            C, "unknown", "bob", datetime(2024, 5, 1, tzinfo=UTC), 1.0, None, None,
        )  # fmt: skip
        assert [v.row for v in (alice, nobody, bob)] == [1, 2, 3]

    def test_the_same_rows_are_the_same_verdicts_in_any_format(self) -> None:
        expected = [v.verdict_id for v in read_sample("manifest.csv")]
        assert len(set(expected)) == 3
        lines = (DATA / "manifest.jsonl").read_bytes()
        rows = [json.loads(line) for line in lines.splitlines()]
        typed = [dict(row) for row in rows]
        for row in typed:
            row["reported_at"] = datetime(2024, 5, 1) if row.get("reported_at") else None
        table = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(typed), table)
        for content in (
            lines,
            json.dumps(rows).encode(),
            json.dumps(rows, indent=2).encode(),
            gzip.compress(lines),
            b"\xef\xbb\xbf" + lines,
            b"\n\n" + lines,
            table.getvalue(),
        ):
            assert [v.verdict_id for v in read(content)] == expected

    def test_who_and_when_are_names_of_reporter_and_reported_at(self) -> None:
        expected = [v.verdict_id for v in read_sample("manifest.csv")]
        lines = (DATA / "manifest.jsonl").read_bytes()
        short = lines.replace(b'"reporter"', b'"who"').replace(b'"reported_at"', b'"when"')
        assert short != lines
        table = io.BytesIO()
        rows = [{**json.loads(line), "when": None} for line in short.splitlines()]
        pq.write_table(pa.Table.from_pylist(rows), table)
        for content in (short, (DATA / "manifest.csv").read_bytes().replace(
            b"reporter,reported_at", b"who,when"
        )):  # fmt: skip
            assert [v.verdict_id for v in read(content)] == expected
        assert [v.reporter for v in read(table.getvalue())] == ["alice", "manifest", "bob"]

    def test_an_error_names_the_column_as_the_file_does(self) -> None:
        rows = csv(f"{A},malicious,x,yesterday", header="sha256,verdict,who,when")
        assert refusal(rows)["field"] == "when"

    @pytest.mark.parametrize(("alias", "name"), [("who", "reporter"), ("when", "reported_at")])
    def test_a_column_under_both_of_its_names_is_refused(self, alias: str, name: str) -> None:
        (bad,) = outcomes(csv(f"{A},malicious,x,y", header=f"sha256,verdict,{alias},{name}"))
        assert isinstance(bad, BadRow)
        assert f"also has '{alias}'" in bad.problem
        assert (bad.number, bad.field) == (1, name)

    def test_times_of_parquet_with_nanoseconds(self) -> None:
        verdicts = read((FEEDS / "pq_ns_verdict.parquet").read_bytes())
        assert [v.verdict for v in verdicts] == ["malicious", "benign"]
        assert [str(v.reported_at)[:10] for v in verdicts] == ["2024-01-23", "2023-11-14"]

    def test_no_rows(self) -> None:
        assert read(b"") == []
        assert read(csv()) == []
        assert read(b"[]") == []

    @pytest.mark.parametrize(
        ("row", "field"),
        [
            ("xyz,malicious,x,2024-01-01,1", "sha256"),
            (f"{A[1:]},malicious,x,2024-01-01,1", "sha256"),
            (f"{A},evil,x,2024-01-01,1", "verdict"),
            (f"{A},,x,2024-01-01,1", "verdict"),
            (f"{A},malicious,x,yesterday,1", "reported_at"),
            (f"{A},malicious,x,20240101123,1", "reported_at"),
            (f"{A},malicious,x,0,1", "reported_at"),
            (f"{A},malicious,x,-1,1", "reported_at"),
            (f"{A},malicious,x,2099-01-01,1", "reported_at"),
            (f"{A},malicious,x,1714521600000,1", "reported_at"),
            (f"{A},malicious,x,0001-01-01T00:00:00+14:00,1", "reported_at"),
            (f"{A},malicious,x,2024-01-01,1.01", "confidence"),
            (f"{A},malicious,x,2024-01-01,nan", "confidence"),
            (f"{A},malicious,x,2024-01-01,high", "confidence"),
        ],
    )
    def test_a_malformed_cell_is_named(self, row: str, field: str) -> None:
        good = f"{B},benign,x,2024-01-01,1"
        assert refusal(csv(good, row)) == {"file": "f", "row": 2, "field": field}

    @pytest.mark.parametrize(
        ("content", "fields"),
        [
            (csv(f"{A},malicious"), {"row": 1}),
            (csv(f"{B},benign,x,,", f'{A},"malicious'), {"row": 2}),
            (csv(header="sha256,label"), {"field": "verdict"}),
            (csv(header="sha256,verdict,verdict"), {"field": "verdict"}),
            (b"\x00\x01\x02\x03", {}),
            (csv(f"{A},malicious,").replace(b"malicious,", b"malicious,\xff,,"), {"row": 1, "field": "reporter"}),
            (b"PAR1 and then no more", {}),
            (gzip.compress(csv(f"{A},malicious,,,"), mtime=0)[:-12], {}),
            (b'{"sha256": "' + A.encode() + b'", "verdict": "benign"}\n{"sha', {"row": 2}),
            (b'{"sha256": "' + A.encode() + b'"}', {"row": 1, "field": "verdict"}),
            (b'{"sha256": "' + A.encode() + b'", "verdict": ["benign"]}', {"row": 1, "field": "verdict"}),
            (b'{"name": 1}', {"row": 1}),
            (b'[{"verdict": "benign", "sha256": 5}]', {"row": 1, "field": "sha256"}),
            (b'[1]', {"row": 1}),
            (b"{\n\"verdict\": benign}", {"row": 2}),
            (b"[" * 100_000, {"row": 1}),
        ],
    )  # fmt: skip
    def test_a_malformed_file_is_named(self, content: bytes, fields: dict[str, Any]) -> None:
        assert refusal(content) == {"file": "f", **fields}

    @given(
        st.binary(max_size=200)
        | st.text(alphabet='{}[]",:\n asdverictmlou5', max_size=80).map(str.encode)
    )
    def test_any_bytes_are_read_or_refused(self, content: bytes) -> None:
        with contextlib.suppress(BadInputError):
            assert all(len(v.sha256) == 64 for v in read(content))


class TestVirusTotal:
    @pytest.mark.parametrize(
        "name", ["v2.json", "v2_list.json", "v2.jsonl", "v3.json", "v3_list.json", "v3.jsonl"]
    )
    def test_the_same_report_in_any_shape(self, name: str) -> None:
        verdict = read_sample(name)[0]
        assert (verdict.sha256, verdict.verdict) == (A, "malicious")
        assert (verdict.reporter, verdict.source_kind) == ("virustotal", "virustotal")
        # Of 8 detections BitDefender and Emsisoft are one, and so are Avast and AVG; 3 are quiet.
        assert (verdict.detections, verdict.engines) == (6, 9)
        assert verdict.confidence == pytest.approx(0.5 + 0.5 * 7 / 11)
        assert verdict.reported_at is not None
        assert verdict.reported_at.date().isoformat() == "2024-06-01"
        assert verdict.first_seen is not None
        assert verdict.first_seen.date().isoformat() == "2024-01-01"
        # Four of the six name it: Kaspersky, Microsoft, ESET-NOD32 and BitDefender with Emsisoft.
        assert verdict.family == "emotet"
        assert verdict.family_confidence == pytest.approx(4 / 6)

    def test_few_detections_are_unknown(self) -> None:
        _, few = read_sample("v2_list.json")
        assert (few.verdict, few.detections, few.engines, few.confidence) == ("unknown", 1, 4, 0.0)
        _, twins = read_sample("v3_list.json")
        # Avast and AVG say the same thing once; four engines gave no answer.
        assert (twins.verdict, twins.detections, twins.engines) == ("unknown", 2, 5)
        assert twins.family is None

    def test_engines_without_an_answer_are_not_in_the_denominator(self) -> None:
        _, quiet = read_sample("v2.jsonl")
        assert (quiet.verdict, quiet.detections, quiet.engines) == ("benign", 0, 2)
        assert quiet.confidence == pytest.approx(0.5 + 0.5 * 3 / 4)
        assert quiet.first_seen is None

    def test_a_report_in_which_no_engine_answered_is_left_out(self) -> None:
        content = (DATA / "v3.jsonl").read_bytes()
        bad = [each for each in outcomes(content) if isinstance(each, BadRow)]
        assert [(each.number, each.reason) for each in bad] == [(2, "no_engines")]

    def test_records_without_a_report_are_told_apart(self) -> None:
        assert [v.row for v in read_sample("v2.jsonl")] == [1, 3]
        found = outcomes((DATA / "v3.jsonl").read_bytes())
        assert [type(each) for each in found].count(NoReport) == len(found) - 2

    def test_thresholds_change_the_verdict_but_not_the_evidence(self) -> None:
        content = (DATA / "v3.json").read_bytes()
        (usual,) = read(content)
        (strict,) = read(content, VerdictSettings(malicious_threshold=7))
        assert (usual.verdict, strict.verdict) == ("malicious", "unknown")
        assert usual.verdict_id == strict.verdict_id

    def test_correlated_engines_are_a_setting(self) -> None:
        (verdict,) = read((DATA / "v3.json").read_bytes(), VerdictSettings(correlated_engines=[]))
        assert (verdict.detections, verdict.engines) == (8, 11)

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"sha256": "1234"}, "data.attributes.sha256"),
            ({"last_analysis_date": "soon"}, "data.attributes.last_analysis_date"),
            ({"last_analysis_results": []}, "data.attributes.last_analysis_results"),
            ({"last_analysis_results": {"X": 1}}, "data.attributes.last_analysis_results[1]"),
        ],
    )
    def test_a_malformed_v3_report_is_named(self, change: dict[str, Any], field: str) -> None:
        report = json.loads((DATA / "v3.json").read_bytes())
        report["data"]["attributes"].update(change)
        assert refusal(json.dumps(report).encode()) == {"file": "f", "row": 1, "field": field}

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"scans": None}, "scans"),
            ({"scan_date": None}, "scan_date"),
            ({"scans": {"X": {"detected": "yes"}}}, "scans[1].detected"),
        ],
    )
    def test_a_malformed_v2_report_is_named(self, change: dict[str, Any], field: str) -> None:
        report = json.loads((DATA / "v2.json").read_bytes()) | change
        assert refusal(json.dumps(report).encode()) == {"file": "f", "row": 1, "field": field}

    def test_naming_families_writes_and_prints_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        read_sample("v3.json")
        assert list(tmp_path.iterdir()) == []
        assert capfd.readouterr() == ("", "")
