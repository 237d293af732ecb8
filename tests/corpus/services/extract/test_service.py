"""The extract service: every sample ends as a vector or as a failure, and only once."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus import features
from corpus.contract.progress import Progress
from corpus.contract.registry import get
from corpus.contract.reports import ExtractReport
from corpus.contract.requests import ExtractRequest
from corpus.errors import BadInputError, NotFoundError
from corpus.features import FeatureSet
from corpus.services.context import Context
from corpus.services.extract import service as extract_module
from corpus.services.extract.service import extract
from corpus.settings import Settings
from corpus.store import blobs
from corpus.store.object_store import Store
from corpus.store.staging import Update
from tests.support import rows
from tests.support.executables import launcher, real_elfs, real_pes, small_pe

BASIC = "basic-v1"


@pytest.fixture
def context(tmp_path: Path) -> Context:
    settings = Settings.load({"features": {"timeout_s": 30.0, "memory_bytes": 2**29}})
    return Context(settings, Store(tmp_path / "corpus"), Progress(write=lambda line: None))


@pytest.fixture
def update(context: Context) -> Update:
    return Update.open(context.store, "u1")


def stage(update: Update, shard: str, files: Sequence[bytes]) -> list[str]:
    """Put files into the store and into a shard, as `collect` and `ingest` do."""
    sha256s = [hashlib.sha256(data).hexdigest() for data in files]
    for sha256, data in zip(sha256s, files, strict=True):
        blobs.put(update.store, sha256, data)
    update.write("candidates", [{"location": sha256} for sha256 in sha256s], shard)
    update.write("samples", [{"sha256": sha256} for sha256 in sha256s], shard)
    return sha256s


def run(context: Context, **request: Any) -> ExtractReport:
    return extract(ExtractRequest(**({"update": "u1"} | request)), context)


def staged_bytes(update: Update) -> dict[str, bytes]:
    return {key: update.store.read_bytes(key) for key in update.parts(f"features-{BASIC}")}


def failures(update: Update) -> list[tuple[str, str, str, str]]:
    columns = ["sha256", "feature_set", "reason", "detail"]
    return [tuple(row.values()) for row in update.read("failures", columns).to_pylist()]


def test_real_files(context: Context, update: Update) -> None:
    files = [path.read_bytes() for path in [*real_pes(), *real_elfs()]]
    files = list(dict.fromkeys(files))
    sha256s = stage(update, "shard-0000", files[:4])
    sha256s += stage(update, "shard-0001", files[3:])
    report = run(context, jobs=2)
    assert report.model_dump() == {
        "update": "u1",
        "shards": ["shard-0000", "shard-0001"],
        "samples": len(files),
        "vectors": {BASIC: len(files)},
        "failures": {},
    }
    assert [r["samples"] for r in update.reports("extract")] == [4, len(files) - 4]
    assert not update.parts("failures")
    first = update.read(f"features-{BASIC}", part="shard-0000")["sha256"].to_pylist()
    assert first == sorted(sha256s[:4])
    by_sha256 = dict(zip(sha256s, [*files[:4], *files[3:]], strict=True))
    for row in update.read(f"features-{BASIC}").to_pylist():
        vector = np.array(row["vector"], np.float32)
        expected = features.get(BASIC).extract(by_sha256[row["sha256"]])
        assert np.array_equal(vector, expected.vector)
        assert row["vector_sha256"] == hashlib.sha256(vector.astype("<f4").tobytes()).hexdigest()
        assert row["raw"] == expected.raw
        assert (row["update_id"], row["sequence"]) == ("u1", 1)


def test_done_again_gives_the_same_bytes(context: Context, update: Update) -> None:
    files = [path.read_bytes() for path in real_pes()[:6]]
    stage(update, "shard-0000", files)
    run(context, shards=["shard-0000"])
    first = staged_bytes(update)
    stage(update, "shard-0000", files[::-1])
    run(context, jobs=2)
    assert staged_bytes(update) == first


def test_truncated_and_flipped_files_never_break_a_shard(context: Context, update: Update) -> None:
    source = random.Random(20240229)
    originals = [
        launcher("t32.exe"),
        launcher("w64-arm.exe"),
        Path("/bin/true").read_bytes(),
        small_pe(),
    ]
    mutants = []
    for _ in range(400):
        mutant = bytearray(source.choice(originals))
        if source.random() < 0.3:
            del mutant[source.randrange(1, len(mutant)) :]
        # Most flips among the headers, where they hurt.
        for _ in range(source.choice((0, 1, 8, 64))):
            reach = len(mutant) if source.random() < 0.3 else min(len(mutant), 1_024)
            mutant[source.randrange(reach)] = source.randrange(256)
        mutants.append(bytes(mutant))
    sha256s = set(stage(update, "shard-0000", list(dict.fromkeys(mutants))))
    report = run(context, jobs=2)
    assert report.samples == len(sha256s)
    vectors = update.read(f"features-{BASIC}")
    done = set(vectors["sha256"].to_pylist())
    failed = {sha256 for sha256, *_ in failures(update)}
    assert done | failed == sha256s
    assert not done & failed
    # Hardly any is beyond all reading: the bytes are there to be counted.
    assert len(failed) <= len(sha256s) // 20
    assert np.isfinite(np.array(vectors["vector"].to_pylist())).all()


def test_empty_and_damaged_and_missing_blobs(context: Context, update: Update) -> None:
    good, damaged, lost, empty = stage(
        update, "shard-0000", [launcher(), b"MZ damaged", b"MZ lost", b""]
    )
    update.store.write_bytes(blobs.key(damaged), update.store.read_bytes(blobs.key(lost)))
    update.store.delete(blobs.key(lost))
    report = run(context)
    assert report.vectors == {BASIC: 1}
    assert report.failures == {"empty": 1, "error": 2}
    assert update.read(f"features-{BASIC}")["sha256"].to_pylist() == [good]
    found = {sha256: (reason, detail) for sha256, _, reason, detail in failures(update)}
    assert found[empty] == ("empty", "the file has 0 bytes")
    assert found[damaged][0] == "error"
    assert "is damaged" in found[damaged][1]
    assert found[lost][1].startswith("NotFoundError: ")
    # A shard that was mended and done again has no failure left over.
    stage(update, "shard-0000", [launcher()])
    assert run(context).failures == {}
    assert failures(update) == []


def test_a_sample_in_two_shards_is_extracted_once(context: Context, update: Update) -> None:
    stage(update, "shard-0000", [launcher("t32.exe")])
    stage(update, "shard-0001", [launcher("t32.exe"), launcher("t64.exe")])
    report = run(context)
    assert (report.samples, report.vectors) == (2, {BASIC: 2})
    assert update.read(f"features-{BASIC}", part="shard-0001").num_rows == 1


def test_base_samples_are_extracted_where_they_lack_a_vector(
    context: Context, update: Update, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows.TINY, "dim", features.get(BASIC).dim)
    with_vector, without = stage(update, "shard-0000", [launcher("t32.exe"), launcher("t64.exe")])
    run(context)
    kept = update.read(f"features-{BASIC}").to_pylist()
    update.write(f"features-{BASIC}", [r for r in kept if r["sha256"] == with_vector], "shard-0000")
    rows.release(update, {"counts": {}})
    again = Update.open(context.store, "u2")
    known = [{"location": s, "known_sha256": s} for s in (with_vector, without)]
    again.write("candidates", known, "shard-0000")
    again.write("candidates", known, "shard-0001")
    report = run(context, update="u2")
    assert (report.samples, report.vectors) == (1, {BASIC: 1})
    assert again.read(f"features-{BASIC}")["sha256"].to_pylist() == [without]
    assert again.parts(f"features-{BASIC}") == [f"staging/u2/features-{BASIC}/shard-0000.parquet"]


def test_what_is_not_there(context: Context, update: Update) -> None:
    assert run(context).samples == 0
    stage(update, "shard-0000", [launcher()])
    with pytest.raises(NotFoundError, match="no update 'u9'"):
        run(context, update="u9")
    with pytest.raises(NotFoundError, match="no feature set 'basic-v9'"):
        run(context, feature_sets=["basic-v9"])
    with pytest.raises(BadInputError, match="no shard 'shard-0007'"):
        run(context, shards=["shard-0007"])
    assert not update.parts(f"features-{BASIC}")


def test_is_found_as_a_service() -> None:
    service = get("extract")
    assert (service.request, service.report) == (ExtractRequest, ExtractReport)


@pytest.fixture
def two_sets(context: Context, monkeypatch: pytest.MonkeyPatch) -> Context:
    """Sets `a` and `b`, of four columns, extracted as the files themselves say."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "support"))
    stand_in = import_module("extract_functions").extractor
    monkeypatch.setattr(extract_module, "extractor", stand_in)
    for name in "ab":
        monkeypatch.setitem(features._SETS, name, FeatureSet(name, "unused", {"all": 4}))
    settings = Settings.load({"features": {"sets": ["a", "b"], "timeout_s": 1.0}})
    return Context(settings, context.store, context.progress)


@pytest.mark.parametrize(
    ("order", "reason", "detail"),
    [
        ("hang", "timeout", "not done after 1 s"),
        ("crash", "crash", "SIGSEGV"),
        ("memory", "memory", "MemoryError: "),
        ("error", "error", "ValueError: no\\nsense"),
        ("nan", "crash", "the child's answer is broken"),
        ("short", "crash", "the child's answer is broken"),
        ("text", "crash", "the child's answer is broken"),
        ("surrogate", "crash", "the child's answer is broken"),
    ],
)
def test_a_failing_set_leaves_the_other_its_vector(
    two_sets: Context, update: Update, order: str, reason: str, detail: str
) -> None:
    bad, good = stage(update, "shard-0000", [f"a:{order}\n".encode(), b"good"])
    report = run(two_sets)
    assert report.samples == 2
    assert report.vectors == {"a": 1, "b": 2}
    assert report.failures == {reason: 1}
    assert failures(update) == [(bad, "a", reason, detail)]
    assert update.read("features-a")["sha256"].to_pylist() == [good]
    assert update.read("features-b")["sha256"].to_pylist() == sorted([bad, good])


def test_sets_may_be_extracted_one_by_one(two_sets: Context, update: Update) -> None:
    stage(update, "shard-0000", [b"a:error\nb:error\n", b"good"])
    run(two_sets, feature_sets=["a"])
    run(two_sets, feature_sets=["b"])
    assert [name for _, name, _, _ in failures(update)] == ["a", "b"]
    row = update.read("failures").to_pylist()[0]
    assert row["service"] == "extract"
    assert row["elapsed_s"] > 0
    assert row["peak_memory_bytes"] > 0


def test_report_is_json(context: Context, update: Update) -> None:
    stage(update, "shard-0000", [launcher()])
    report = run(context)
    assert json.loads(report.model_dump_json()) == update.reports("extract")[0]
