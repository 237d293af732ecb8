"""Extraction by way of workspaces: the same parts, nothing extracted twice, nothing that nobody asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from corpus import features
from corpus.contract.reports import ExtractReport
from corpus.contract.requests import ExtractRequest
from corpus.errors import BadInputError, NotFoundError
from corpus.features import FeatureSet, sandboxed
from corpus.services.context import Context
from corpus.services.extract import service as extract_module
from corpus.services.extract.service import extract
from corpus.settings import Settings
from corpus.store import blobs
from corpus.store.object_store import Store
from corpus.store.staging import Update
from corpus.store.statistics import no_statistics
from tests.support import rows
from tests.support.executables import real_elfs, real_pes
from tests.support.workspaces import (
    Killed,
    die_after,
    quiet,
    staged,
    staged_in,
    staged_out,
    through_workspace,
    tree,
    worked,
)

BASIC = "basic-v1"
SHARD = "shard-0000"


class Pair:
    """Two corpora with the same samples staged: services work in `whole`, and in workspaces of `parts`."""

    def __init__(self, folder: Path, sets: Sequence[str]):
        settings = Settings.load({"features": {"sets": sets, "timeout_s": 2.0}})
        self.folder = folder
        self.whole = quiet(settings, Store(folder / "whole"))
        self.parts = quiet(settings, Store(folder / "parts"))

    def stage(self, shard: str, files: Sequence[bytes], update: str = "u") -> list[str]:
        """Put files into the stores and into a shard, as `collect` and `ingest` do."""
        sha256s = [hashlib.sha256(data).hexdigest() for data in files]
        for store in (self.whole.store, self.parts.store):
            made = Update.open(store, update)
            for sha256, data in zip(sha256s, files, strict=True):
                blobs.put(store, sha256, data)
            made.write("candidates", [{"location": sha256} for sha256 in sha256s], shard)
            made.write("samples", [{"sha256": sha256} for sha256 in sha256s], shard)
        return sha256s

    def extract(self, name: str = "workspace", update: str = "u", **request: Any) -> ExtractReport:
        """Extract in both; gives the report, which is the same."""
        report = extract(ExtractRequest(update=update, **request), self.whole)
        assert (
            through_workspace(self.parts, "extract", self.folder / name, update, **request)
            == report
        )
        return report

    def each(self) -> list[Update]:
        return [Update.open(made.store, "u") for made in (self.whole, self.parts)]

    def assert_same(self, update: str = "u") -> None:
        """But for the time and the memory that failures took."""
        ours, theirs = staged(self.parts.store, update), staged(self.whole.store, update)
        assert ours.keys() == theirs.keys()
        for key, data in theirs.items():
            if "/failures/" not in key:
                assert ours[key] == data, key
        columns = ["sha256", "service", "feature_set", "reason", "detail"]
        one, other = (
            Update.open(made.store, update).read("failures", columns).to_pylist()
            for made in (self.whole, self.parts)
        )
        assert one == other


@pytest.fixture
def two_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """Sets `a` and `b`, of four columns, extracted as the files themselves say."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "support"))
    stand_in = import_module("extract_functions").extractor
    monkeypatch.setattr(extract_module, "extractor", stand_in)
    for name in "ab":
        monkeypatch.setitem(features._SETS, name, FeatureSet(name, "unused", {"all": 4}))
    return Pair(tmp_path, ["a", "b"])


def extracted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that go through the sandbox of a service from now on."""
    seen: list[str] = []

    class Counting(sandboxed.Sandbox):
        def map(self, items: Any) -> Any:
            return super().map(counted(items))

    def counted(items: Any) -> Any:
        for key, data in items:
            seen.append(key)
            yield key, data

    monkeypatch.setattr(sandboxed, "Sandbox", Counting)
    return seen


def test_real_files(tmp_path: Path) -> None:
    pair = Pair(tmp_path, [BASIC, "ember-v3"])
    files = list(dict.fromkeys(path.read_bytes() for path in [*real_pes()[:5], *real_elfs()[:2]]))
    pair.stage(SHARD, files[:4])
    pair.stage("shard-0001", files[3:])
    report = pair.extract(jobs=2)
    assert report.vectors == {BASIC: len(files), "ember-v3": len(files)}
    pair.assert_same()


def test_each_shard_in_a_workspace_of_its_own(two_sets: Pair) -> None:
    two_sets.stage(SHARD, [b"1", b"2"])
    two_sets.stage("shard-0001", [b"2", b"3"])
    for shard, samples in (("shard-0001", 1), (SHARD, 2)):
        assert two_sets.extract(shard, shards=[shard]).samples == samples
    two_sets.assert_same()


def test_failures_are_the_same(two_sets: Pair) -> None:
    orders = [
        b"a:error\n",
        b"b:crash\n",
        b"a:memory\nb:error\n",
        b"a:nan\n",
        b"a:hang\n",
        b"",
        b"good",
    ]
    sha256s = two_sets.stage(SHARD, [*orders, b"lost", b"damaged"])
    lost, damaged = sha256s[-2:]
    for update in two_sets.each():
        update.store.write_bytes(blobs.key(damaged), update.store.read_bytes(blobs.key(lost)))
        update.store.delete(blobs.key(lost))
    report = two_sets.extract()
    assert report.failures == {"crash": 2, "empty": 2, "error": 6, "memory": 1, "timeout": 1}
    two_sets.assert_same()


def test_only_what_is_needed_is_in_the_workspace(two_sets: Pair) -> None:
    one, *_ = two_sets.stage(SHARD, [b"1", b"2", b"a:error\n"])
    three, bad = two_sets.stage("shard-0001", [b"3", b"b:error\n"])
    two_sets.stage("shard-0002", [b"4"])
    folder = two_sets.folder / "workspace"
    staged_in(two_sets.parts, "extract", folder, shards=[SHARD])
    assert one in "".join(tree(folder))
    two_sets.extract("first", shards=["shard-0001"])
    # Of set b nothing is staged any more, of set a the sample `three` is left out.
    for update in two_sets.each():
        kept = [r for r in update.read("features-a").to_pylist() if r["sha256"] != three]
        update.write("features-a", kept, "shard-0001")
    report = staged_in(two_sets.parts, "extract", folder, shards=["shard-0001"])
    assert report.model_dump() == {
        "service": "extract", "update": "u", "shards": ["shard-0001"], "files": 2,
        "bytes": sum(two_sets.parts.store.size(blobs.key(s)) for s in (three, bad)),
    }  # fmt: skip
    assert tree(folder) == sorted([
        blobs.key(three),
        blobs.key(bad),
        "format.json",
        "workspace/pending/shard-0001.json",
        "workspace/task.json",
        "staging/u/failures/extract-b-shard-0001.parquet",
        "staging/u/features-a/shard-0001.parquet",
        "staging/u/features-b/shard-0001.parquet",
        "staging/u/update.json",
    ])  # fmt: skip
    staged_in(two_sets.parts, "extract", folder, shards=["shard-0001"], feature_sets=["a"])
    assert tree(folder) == sorted([
        blobs.key(three),
        "format.json",
        "workspace/pending/shard-0001.json",
        "workspace/task.json",
        "staging/u/features-a/shard-0001.parquet",
        "staging/u/update.json",
    ])  # fmt: skip


def test_a_former_attempt_is_gone_on_with(two_sets: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    two_sets.stage(SHARD, [b"1", b"2", b"3", b"a:error\n"])
    two_sets.extract("first")
    for update in two_sets.each():
        rows_of_a = update.read("features-a").to_pylist()
        update.write("features-a", rows_of_a[1:], SHARD)
        # No sound vector: it is extracted again.
        broken = [
            {**row, "vector_sha256": "0" * 64} for row in update.read("features-b").to_pylist()
        ]
        update.write("features-b", broken[:1] + update.read("features-b").to_pylist()[1:], SHARD)
    whole = staged(two_sets.whole.store)
    seen = extracted(monkeypatch)
    extract(ExtractRequest(update="u"), two_sets.whole)
    there = list(seen)
    seen.clear()
    report = through_workspace(two_sets.parts, "extract", two_sets.folder / "second")
    assert seen == there
    assert report.model_dump()["vectors"] == {"a": 3, "b": 4}
    two_sets.assert_same()
    assert staged(two_sets.whole.store) != whole


def test_a_part_that_cannot_be_read_is_made_again(two_sets: Pair) -> None:
    two_sets.stage(SHARD, [b"1", b"2"])
    for update in two_sets.each():
        update.store.write_bytes(f"staging/u/features-a/{SHARD}.parquet", b"no parquet")
    two_sets.extract()
    two_sets.assert_same()


def test_sets_one_by_one(two_sets: Pair) -> None:
    two_sets.stage(SHARD, [b"a:error\nb:error\n", b"good"])
    two_sets.extract("one", feature_sets=["b"])
    two_sets.extract("two", feature_sets=["a"])
    two_sets.assert_same()


def test_samples_of_the_base_are_extracted_where_they_lack_a_vector(
    two_sets: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows.TINY, "dim", 4)
    sha256s = two_sets.stage(SHARD, [b"1", b"2", b"3"])
    two_sets.extract("one", feature_sets=["a"])
    two_sets.extract("two", feature_sets=["b"])
    for update in two_sets.each():
        update.write("features-b", update.read("features-b").to_pylist()[1:], SHARD)
        rows.release(update, no_statistics())
        again = Update.open(update.store, "v")
        known = [{"location": s, "known_sha256": s} for s in sha256s]
        again.write("candidates", known, SHARD)
        again.write("candidates", known, "shard-0001")
    report = two_sets.extract("three", "v")
    assert (report.samples, report.vectors) == (1, {"a": 0, "b": 1})
    two_sets.assert_same("v")


def test_given_again_and_again(two_sets: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    two_sets.stage(SHARD, [b"1", b"b:error\n"])
    report = extract(ExtractRequest(update="u"), two_sets.whole)
    folder = two_sets.folder / "workspace"
    staged_in(two_sets.parts, "extract", folder)
    worked(two_sets.parts, "extract", folder)
    # Two parts of vectors, one of failures, one report.
    for left in range(4):
        for table in ("features-a", "features-b", "failures"):
            two_sets.parts.store.delete(f"staging/u/{table}")
        with monkeypatch.context() as patch:
            die_after(left, patch)
            with pytest.raises(Killed):
                staged_out(two_sets.parts, "extract", folder)
    for _ in range(2):
        assert staged_out(two_sets.parts, "extract", folder) == report
        two_sets.assert_same()


def test_what_is_not_there_is_named(two_sets: Pair) -> None:
    made: Context = two_sets.parts
    folder = two_sets.folder / "workspace"
    for step in (staged_in, staged_out):
        with pytest.raises(NotFoundError, match="does not exist"):
            step(made, "extract", two_sets.folder)
    two_sets.stage(SHARD, [b"1"])
    for step in (staged_in, staged_out):
        folder.mkdir(exist_ok=True)
        with pytest.raises(BadInputError, match="no shard 'shard-0009'"):
            step(made, "extract", folder, shards=["shard-0009"])
        with pytest.raises(NotFoundError, match="no feature set"):
            step(made, "extract", folder, feature_sets=["c"])
        with pytest.raises(NotFoundError, match="no shard 'shard-0009'"):
            step(made, "ingest", folder, shards=["shard-0009"])
        with pytest.raises(BadInputError, match="an update is needed"):
            step(made, "extract", folder, None)
    staged_in(made, "extract", folder)
    with pytest.raises(BadInputError, match="no shard 'shard-0009'"):
        worked(made, "extract", folder, shards=["shard-0009"])
    staged_in(made, "extract", folder, feature_sets=["a"])
    with pytest.raises(BadInputError, match="not staged in for 'b'"):
        worked(made, "extract", folder)
