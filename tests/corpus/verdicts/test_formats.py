"""Formats that the field exchanges, told by content, compressed or not, and mapped by columns."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd

from corpus.errors import BadInputError
from corpus.rows.row import BadRow
from corpus.settings import Feed, VerdictSettings
from corpus.verdicts.outcome import ByOtherHash, NoReport, Outcome
from corpus.verdicts.reader import VerdictReader
from corpus.verdicts.record import Verdict
from corpus.verdicts.voice import Voice
from tests.support.verdict_corpus import DATA, FEEDS

pytestmark = pytest.mark.fast

A, B, C = "a1" * 32, "b2" * 32, "c3" * 32


def read(content: bytes | str, **said: Any) -> list[Outcome]:
    data = content.encode() if isinstance(content, str) else content
    feed = Feed(place="f", **said)
    reader = VerdictReader(VerdictSettings())
    return list(reader.read(io.BytesIO(data), "f", feed, Voice.of(feed)))


def verdicts(content: bytes | str, **said: Any) -> list[Verdict]:
    found = read(content, **said)
    assert all(isinstance(each, Verdict) for each in found), found
    return [each for each in found if isinstance(each, Verdict)]


def said(verdict: Verdict) -> tuple[str, str, str | None, str]:
    seen = str(verdict.first_seen)[:10]
    return (verdict.reporter, verdict.verdict, verdict.family, seen)


def jsonl(*rows: dict[str, Any]) -> str:
    return "\n".join(map(json.dumps, rows))


def test_malwarebazaars_csv() -> None:
    rows = verdicts((FEEDS / "mb_full.csv").read_bytes())
    assert said(rows[0]) == ("malwarebazaar", "malicious", "emotet", "2024-01-23")
    assert {row.source_kind for row in rows} == {"manifest"}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda row: {"query_status": "ok", "data": [row]},
        lambda row: {"4711": [row]},
        lambda row: [row],
    ],
)
def test_malwarebazaars_json(wrap: Callable[[dict[str, Any]], Any]) -> None:
    row = {
        "sha256_hash": A, "md5_hash": "0" * 32, "first_seen": "2024-01-23 08:53:20", "last_seen": None,
        "reporter": "somebody", "signature": None, "tags": ["exe"],
    }  # fmt: skip
    (found,) = verdicts(json.dumps(wrap(row)))
    assert said(found) == ("malwarebazaar", "malicious", None, "2024-01-23")


def test_ember_of_2018_and_2024() -> None:
    old = "sha256,appeared,subset,label,avclass\n" + "".join(
        f"{sha},2018-01,train,{label},{family}\n"
        for sha, label, family in ((A, 1, "zbot"), (B, 0, ""), (C, -1, ""))
    )
    assert [said(row) for row in verdicts(old)] == [
        ("ember", "malicious", "zbot", "2018-01-01"), ("ember", "benign", None, "2018-01-01"),
        ("ember", "unknown", None, "2018-01-01"),
    ]  # fmt: skip
    new = jsonl(
        {"sha256": A, "label": 1, "first_submission_date": 1700000000, "family": "zbot", "family_confidence": 0.5,
         "last_analysis_date": 1706000000, "histogram": [1, 2]}
    )  # fmt: skip
    (row,) = verdicts(new)
    assert said(row) == ("ember", "malicious", "zbot", "2023-11-14")
    assert (row.family_confidence, str(row.reported_at)[:10]) == (0.5, "2024-01-23")


def test_sorel_as_csv_and_as_parquet() -> None:
    columns = {"sha256": [A, B], "is_malware": [1, 0], "rl_fs_t": [1546300800, 1546300800]}
    table = io.BytesIO()
    pq.write_table(pa.table(columns), table)
    text = f"sha256,is_malware,rl_fs_t\n{A},1,1546300800\n{B},0,1546300800\n"
    for content in (text.encode(), table.getvalue()):
        assert [said(row) for row in verdicts(content)] == [
            ("sorel", "malicious", None, "2019-01-01"), ("sorel", "benign", None, "2019-01-01"),
        ]  # fmt: skip


def test_avclass_says_no_more_than_it_knows() -> None:
    names = [[f"Engine{n}", f"Trojan.Emotet.{n}"] for n in range(6)]
    many, few, none = read(
        jsonl(
            {"sha256": A, "av_labels": names, "scan_date": "2024-01-31"},
            {"sha256": B, "av_labels": names[:2]},
            {"sha256": C, "av_labels": []},
        )
    )
    assert isinstance(many, Verdict)
    assert said(many)[:3] == ("avclass", "malicious", "emotet")
    assert isinstance(few, Verdict)
    assert few.verdict == "unknown"
    assert isinstance(none, BadRow)
    assert none.reason == "no_engines"


def test_wrapped_reports_of_virustotal() -> None:
    (wrapped,) = verdicts((FEEDS / "v2_wrapped_results.json").read_bytes())
    assert wrapped.reporter == "virustotal"
    report = json.loads((DATA / "v3.json").read_bytes())
    once = verdicts(json.dumps(report))
    for wrap in ({"results": [report]}, {"data": {"data": report["data"]}}, {"reports": report}):
        assert [row.verdict_id for row in verdicts(json.dumps(wrap))] == [once[0].verdict_id]
    assert [type(each) for each in read('{"data": []}')] == [NoReport]


def test_lists_of_hashes() -> None:
    content = f"# VirusShare\n{'0' * 32}\n{'1' * 40}  a.exe\n\n{A.upper()}\nnothing\n"
    columns = {"verdict": "=malicious"}
    md5, sha1, sha256, bad = read(content, format="hashes", columns=columns, reporter="share")
    assert isinstance(md5, ByOtherHash)
    assert isinstance(sha1, ByOtherHash)
    assert isinstance(sha256, Verdict)
    assert said(sha256)[:2] == ("share", "malicious")
    assert isinstance(bad, BadRow)
    assert (bad.number, bad.reason) == (6, "bad_hash")


def test_columns_of_ones_own() -> None:
    text = f"Hash;class;malware_family\n{A};goodware;\n{B};1;Zbot\n"
    columns = {"sha256": "Hash", "verdict": "class", "family": "malware_family"}
    rows = verdicts(text, columns=columns, reporter="bodmas")
    assert [said(row)[:3] for row in rows] == [
        ("bodmas", "benign", None), ("bodmas", "malicious", "zbot"),
    ]  # fmt: skip
    with pytest.raises(BadInputError, match="no such column") as caught:
        read(text, columns={"sha256": "hash"})
    assert caught.value.field == "hash"
    rows = verdicts(jsonl({"h": A}), columns={"sha256": "h", "verdict": "=benign"})
    assert said(rows[0])[:2] == ("manifest", "benign")


def test_a_feed_may_insist_on_its_format() -> None:
    content = (FEEDS / "mb_full.csv").read_bytes()
    assert verdicts(content, format="malwarebazaar")
    with pytest.raises(BadInputError, match="is not sorel"):
        read(content, format="sorel")
    (bad,) = read((DATA / "v3.json").read_bytes(), format="manifest")
    assert isinstance(bad, BadRow)
    assert bad.reason == "other_format"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd.compress])
def test_compressed_files(pack: Callable[[bytes], bytes]) -> None:
    content = (FEEDS / "mb_full.csv").read_bytes()
    expected = [row.verdict_id for row in verdicts(content)]
    assert [row.verdict_id for row in verdicts(pack(content))] == expected
    with pytest.raises(BadInputError, match="broken or cut off"):
        read(pack(content)[:-9])


def test_several_members_of_gzip_are_one_file() -> None:
    lines = [jsonl({"sha256": sha, "verdict": "benign"}) + "\n" for sha in (A, B, C)]
    assert len(verdicts(b"".join(gzip.compress(line.encode()) for line in lines))) == 3


def test_a_file_of_xz() -> None:
    assert verdicts((FEEDS / "xz.jsonl.xz").read_bytes())


SECRET = "hunter2-is-the-password"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (f"{SECRET}\n{SECRET}", "text or a table without the columns"),
        (f"postgresql://corpus:{SECRET}@db/corpus", "text or a table without the columns"),
        (f"sha256,{SECRET}\n{A},benign", "no such column"),
        (f"sha256,verdict\n{A},{SECRET}", "is not a verdict"),
        (f"sha256,verdict\n{SECRET},benign", "is not a sha256"),
        (f"sha256,verdict,reported_at\n{A},benign,{SECRET}", "is not a date"),
        (f"sha256,verdict,confidence\n{A},benign,{SECRET}", "is not a number"),
        (f'sha256,verdict\n{A},"{SECRET}', "quote is not closed"),
        (f"{{{SECRET}", "is not JSON"),
        (f'{{"{SECRET}": 1}}', "is neither a verdict"),
        (f'{{"{SECRET}": 1, "{SECRET}": 1}}', "a key twice"),
        (f'[{{"sha256": "{SECRET}"}}]', "is not a sha256"),
        (f'["{SECRET}"]', "is not an object"),
        (f'{{"attributes": {{"sha256": "{SECRET}"}}}}', "is not a sha256"),
        (f'{{"scans": {{"X": {{"detected": "{SECRET}"}}}}, "sha256": "{A}"}}', "neither true nor false"),
        (f'{{"scans": {{"{SECRET}": {{"detected": "yes"}}}}, "sha256": "{A}"}}', "neither true nor false"),
        (b"PAR1" + SECRET.encode(), "not a whole Parquet file"),
        (b"\x1f\x8b" + SECRET.encode(), "gzip-compressed"),
        (b"\xfd7zXZ\x00" + SECRET.encode(), "xz-compressed"),
        (b"\x7fELF" + SECRET.encode(), "an ELF executable"),
        (b"PK\x03\x04" + SECRET.encode(), "a zip archive"),
        (b"SQLite format 3\x00" + SECRET.encode(), "an SQLite database"),
        (b"\xff\xfe" + SECRET.encode("utf-16-le"), "UTF-16 text"),
        (b"\x00" + SECRET.encode(), "binary data"),
        (f"<html>{SECRET}", "an HTML page"),
    ],
)  # fmt: skip
def test_no_error_quotes_a_file(content: bytes | str, kind: str) -> None:
    try:
        (bad,) = read(content)
        assert isinstance(bad, BadRow)
        error = bad.error("f")
    except BadInputError as refused:
        error = refused
    assert kind in str(error)
    assert SECRET not in json.dumps(error.to_dict())


def test_a_text_that_is_no_verdict_file() -> None:
    with pytest.raises(BadInputError, match="is not a verdict file"):
        read((FEEDS / "readme.txt").read_bytes())
