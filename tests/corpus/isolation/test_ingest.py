"""What a service stages by way of a workspace is, byte for byte, what it stages without."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from corpus.contract.reports import IngestReport
from corpus.contract.requests import CollectRequest, IngestRequest
from corpus.services.collect.service import collect
from corpus.services.ingest.service import ingest
from corpus.settings import Settings
from corpus.store import blobs
from corpus.store.object_store import Store
from corpus.store.staging import Update
from corpus.store.statistics import no_statistics
from tests.support import rows
from tests.support.archive_files import aes_zip_of, tar_of, zip_of
from tests.support.executables import launcher, real_elfs, small_pe
from tests.support.workspaces import (
    Killed,
    blobs_of,
    die_after,
    quiet,
    staged,
    staged_in,
    staged_out,
    through_workspace,
    worked,
)

PE = launcher("t64.exe")
PE_32 = launcher("w32.exe")
ELF = real_elfs()[0].read_bytes()
SMALL = small_pe()
NOISE = random.Random(4).randbytes(1 << 20)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Twins:
    """Two corpora fed from one folder: `whole` has its services work in it, `parts` in workspaces."""

    def __init__(self, folder: Path, **sections: Any):
        self.folder = folder
        self.source = folder / "in"
        self.source.mkdir()
        sources = {"urls": [str(self.source)], **sections.pop("sources", {})}
        places = {"roots": [str(self.source.parent)]}
        settings = Settings.load({"places": places, **sections, "sources": sources})
        self.whole = quiet(settings, Store(folder / "whole"))
        self.parts = quiet(settings, Store(folder / "parts"))
        self.workspaces = 0

    def add(self, **files: bytes) -> None:
        for name, data in files.items():
            (self.source / name).write_bytes(data)

    def collect(self, update: str = "u", **request: Any) -> None:
        for made in (self.whole, self.parts):
            collect(CollectRequest(update=update, **request), made)

    def workspace(self) -> Path:
        self.workspaces += 1
        return self.folder / f"workspace-{self.workspaces}"

    def ingest(self, update: str = "u", **request: Any) -> IngestReport:
        """Ingest in both, in `parts` one workspace a shard; return the report of `whole`."""
        report = ingest(IngestRequest(update=update, **request), self.whole)
        for shard in report.shards:
            through_workspace(
                self.parts, "ingest", self.workspace(), update, shards=[shard], **request
            )
        return report

    def release(self, update: str) -> None:
        for made in (self.whole, self.parts):
            rows.release(Update.open(made.store, update), no_statistics())

    def assert_same(self, update: str = "u") -> None:
        ours, theirs = staged(self.parts.store, update), staged(self.whole.store, update)
        assert ours.keys() == theirs.keys()
        for key, data in theirs.items():
            assert ours[key] == data, key

    def rejects(self, update: str = "u") -> dict[str, int]:
        counts: Counter[str] = Counter()
        for row in Update.open(self.parts.store, update).read("rejects").to_pylist():
            counts[row["reason"]] += row["files"]
        return dict(counts)


@pytest.fixture
def twins(tmp_path: Path) -> Twins:
    return Twins(tmp_path, shards={"max_files": 4})


def all_kinds() -> dict[str, bytes]:
    text = {f"note-{number}.txt": b"text" for number in range(9)}
    return {
        "a.exe": PE, "b": ELF, "c.exe": PE, "d.txt": b"text", "e": b"",
        "f.zip": zip_of({"x": PE_32, "y": SMALL, **text}),
        "g.tgz": tar_of({"in/side": ELF, "more": small_pe() + b"more"}, "w:gz"),
        "h.gz": gzip.compress(PE),
        "i.zip": aes_zip_of({"locked.exe": launcher("w64.exe")}),
        "j.zip": aes_zip_of({"locked.exe": PE}, b"another"),
        "k.tar": tar_of([("a", SMALL), ("b", PE_32)])[:-60_000],
        "l.zip": zip_of([("a.exe", PE), ("zero", b"MZ" + bytes(200 << 20))]),
        "m": b"MZ no program of today" + NOISE,
        "n.bin": NOISE * 3,
        "o.zip": zip_of({"deep.zip": zip_of({"z::z": launcher("t32.exe")})}),
        "p::q.exe": launcher("t64-arm.exe"),
    }  # fmt: skip


def test_files_of_all_kinds(twins: Twins) -> None:
    twins.add(**all_kinds())
    twins.collect()
    report = twins.ingest()
    assert len(report.shards) == 4
    assert Update.open(twins.parts.store, "u").read("samples").num_rows == 8
    assert twins.rejects() == {
        "bomb": 1, "damaged_archive": 1, "empty": 1, "encrypted": 1, "unsupported": 12,
    }  # fmt: skip
    twins.assert_same()
    assert blobs_of(twins.parts.store) == blobs_of(twins.whole.store)


def test_all_shards_in_one_workspace(twins: Twins) -> None:
    twins.add(**all_kinds())
    twins.collect()
    report = ingest(IngestRequest(update="u"), twins.whole)
    assert through_workspace(twins.parts, "ingest", twins.workspace()) == report
    twins.assert_same()


def test_the_parts_of_the_workspace_are_the_same_already(twins: Twins) -> None:
    twins.add(a=PE, b=zip_of({"x": ELF}), c=b"text")
    twins.collect("one")
    twins.ingest("one")
    twins.release("one")
    twins.add(d=PE_32, e=b"")
    twins.collect("two")
    ingest(IngestRequest(update="two"), twins.whole)
    folder = twins.workspace()
    staged_in(twins.parts, "ingest", folder, "two")
    worked(twins.parts, "ingest", folder, "two")
    # The number of the snapshot is in every row, and the workspace has no base to count from.
    assert Update.open(twins.whole.store, "two").read("samples")["sequence"].to_pylist() == [2]
    inside, theirs = staged(Store(folder), "two"), staged(twins.whole.store, "two")
    del theirs["staging/two/reports/collect-all.json"]
    # Blobs are packed in another way there.
    samples, others = (
        pq.read_table(io.BytesIO(parts.pop("staging/two/samples/shard-0000.parquet")))
        for parts in (inside, theirs)
    )
    assert inside == theirs
    packed = ["blob_sha256", "blob_size"]
    assert samples.drop_columns(packed) == others.drop_columns(packed)


def test_a_workspace_does_not_wait_for_the_disk_and_hardly_compresses(
    twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    twins.add(a=PE, b=ELF)
    twins.collect()
    folder = twins.workspace()
    synced.clear()
    staged_in(twins.parts, "ingest", folder)
    worked(twins.parts, "ingest", folder)
    assert not synced
    staged_out(twins.parts, "ingest", folder)
    assert synced
    ours, theirs = (blobs_of(store) for store in (twins.parts.store, Store(folder)))
    assert ours.keys() == theirs.keys()
    assert all(len(ours[key]) < len(theirs[key]) for key in ours)


def test_files_that_changed_or_went_since_they_were_listed(twins: Twins) -> None:
    twins.add(**dict.fromkeys("abcdefg", PE), ok=ELF)
    twins.collect()
    (twins.source / "a").write_bytes(ELF)
    os.utime(twins.source / "b", (1, 1))
    (twins.source / "c").unlink()
    (twins.source / "d").unlink()
    os.mkfifo(twins.source / "d")
    (twins.source / "e").unlink()
    (twins.source / "e").mkdir()
    (twins.source / "f").write_bytes(b"")
    (twins.source / "g").unlink()
    (twins.source / "g").symlink_to("/nonexistent/folder")
    twins.ingest()
    # A link is not followed, wherever it leads.
    assert twins.rejects() == {"changed": 4, "unreadable": 3}
    twins.assert_same()
    # The next update finds them as they are then.
    twins.release("u")
    for name in "dg":
        (twins.source / name).unlink()
    twins.collect("v")
    twins.ingest("v")
    twins.assert_same("v")


def test_a_file_that_changes_while_it_is_copied_is_not_believed(twins: Twins) -> None:
    twins.add(a=PE, b=ELF)
    twins.collect()
    folder = twins.workspace()
    staged_in(twins.parts, "ingest", folder)
    # What happens to the source later is no concern of the workspace.
    twins.add(a=PE_32)
    worked(twins.parts, "ingest", folder)
    assert staged_out(twins.parts, "ingest", folder).model_dump()["samples"] == 2
    assert blobs.get(twins.parts.store, sha(PE)) == PE


def test_known_samples_are_dropped_and_counted(twins: Twins) -> None:
    twins.add(a=PE, b=ELF, f=b"text")
    twins.collect("one")
    twins.ingest("one")
    twins.release("one")
    twins.add(c=PE, d=PE_32, e=zip_of({"x": ELF, "y": SMALL}))
    twins.collect("two")
    report = twins.ingest("two")
    assert (report.samples, report.known) == (2, 2)
    twins.assert_same("two")
    twins.release("two")
    twins.collect("three", rescan=True)
    report = twins.ingest("three")
    assert (report.samples, report.known) == (0, 5)
    twins.assert_same("three")


def test_a_lost_blob_of_a_known_sample_is_stored_again(twins: Twins) -> None:
    twins.add(a=PE, b=ELF)
    twins.collect("one")
    twins.ingest("one")
    twins.release("one")
    twins.add(c=PE)
    for made in (twins.whole, twins.parts):
        made.store.delete(blobs.key(sha(PE)))
    twins.collect("two")
    assert twins.ingest("two").known == 1
    assert blobs.get(twins.parts.store, sha(PE)) == PE
    twins.assert_same("two")


def test_only_the_types_asked_for(twins: Twins) -> None:
    twins.add(a=PE, b=ELF, c=zip_of({"x": PE_32, "y": ELF}))
    twins.collect()
    assert twins.ingest(file_types=["pe"]).filtered == 2
    twins.assert_same()


def test_what_a_manifest_expects(twins: Twins) -> None:
    archive = aes_zip_of({"a": PE, "b": ELF, "c": PE_32, "d": b"text"})
    twins.add(one=archive, whole=zip_of({"s": SMALL}), wrong=PE, text=b"text", plain=PE)
    twins.add(**{"100%\n\udcff": PE_32})
    whole = sha((twins.source / "whole").read_bytes())
    lines = [
        "sha256,location,first_seen,source,tags",
        f"{sha(ELF)},one,2024-01-02,feed,b;a",
        f"{sha(PE_32)},one,2024-01-03T04:05:06.789Z,other feed,",
        f"{whole},whole,,,",
        f"{'0' * 64},wrong,,,",
        f"{'1' * 64},text,,,",
        f"{sha(PE)},plain,1700000000.25,,x",
        ",plain,,no digest,",
    ]
    manifest = twins.source / "m.csv"
    manifest.write_text("\n".join(lines) + "\n")
    twins.collect(sources=[str(manifest), str(twins.source)])
    twins.ingest()
    assert twins.rejects() == {"hash_mismatch": 2, "unsupported": 1}
    twins.assert_same()
    assert Update.open(twins.parts.store, "u").read("samples").num_rows == 4


def test_what_is_too_large_is_copied_so_far_only(tmp_path: Path) -> None:
    limit = len(PE_32) - 1
    twins = Twins(tmp_path, sources={"max_file_bytes": limit})
    twins.add(a=PE_32, b=SMALL, c=b"MZ" + NOISE, d=b"\xff" + NOISE, e=zip_of({"x": PE_32}))
    with (twins.source / "huge.exe").open("wb") as stream:
        stream.write(PE_32)
        stream.truncate(1 << 34)
    twins.collect()
    report = twins.ingest()
    assert report.rejects == {"too_large": 4}
    assert report.unsupported == {"other": 1}
    twins.assert_same()
    report = staged_in(twins.parts, "ingest", twins.workspace())
    archive = (twins.source / "e").stat().st_size
    assert report.bytes == 3 * (limit + 1) + len(SMALL) + 4096 + archive
    copies = [path.stat() for path in (tmp_path / "workspace-2/workspace/sources").iterdir()]
    assert max(copy.st_size for copy in copies) == 1 << 34
    assert sum(copy.st_blocks * 512 for copy in copies) < 4 << 20


def test_a_sample_on_which_the_identification_fails(tmp_path: Path) -> None:
    twins = Twins(tmp_path, features={"memory_bytes": 64 << 20})
    twins.add(huge=SMALL + NOISE * 100, ok=PE)
    twins.collect()
    assert twins.ingest().failures == 1
    (ours,), (theirs,) = (
        Update.open(made.store, "u").read("failures").to_pylist()
        for made in (twins.parts, twins.whole)
    )
    measured = {"elapsed_s", "peak_memory_bytes", "detail"}
    assert ours["reason"] == "memory"
    assert {k: v for k, v in ours.items() if k not in measured} == {
        k: v for k, v in theirs.items() if k not in measured
    }
    table = "staging/u/samples/shard-0000.parquet"
    assert staged(twins.parts.store)[table] == staged(twins.whole.store)[table]
    # Once the sample is known, its failure is no news.
    twins.release("u")
    twins.add(again=SMALL + NOISE * 100)
    twins.collect("v")
    assert twins.ingest("v").failures == 0
    twins.assert_same("v")


def test_taken_and_given_again_nothing_changes(twins: Twins) -> None:
    twins.add(**all_kinds())
    twins.collect()
    twins.ingest()
    first = staged(twins.parts.store), blobs_of(twins.parts.store)
    for folder in sorted(twins.folder.glob("workspace-*")):
        shards = [path.stem for path in folder.glob("staging/u/samples/*")]
        staged_out(twins.parts, "ingest", folder, shards=shards)
    assert (staged(twins.parts.store), blobs_of(twins.parts.store)) == first
    # A workspace is made anew where there is one, with what a sandbox left in it.
    folder = twins.folder / "workspace-1"
    report = staged_in(twins.parts, "ingest", folder, shards=["shard-0000"])
    assert staged_in(twins.parts, "ingest", folder, shards=["shard-0000"]) == report
    worked(twins.parts, "ingest", folder)
    staged_out(twins.parts, "ingest", folder, shards=["shard-0000"])
    assert (staged(twins.parts.store), blobs_of(twins.parts.store)) == first


def test_killed_at_any_write_it_is_given_again(
    twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins.add(a=PE, b=zip_of({"x": ELF, "y": SMALL}), c=b"text")
    twins.collect()
    ingest(IngestRequest(update="u"), twins.whole)
    folder = twins.workspace()
    staged_in(twins.parts, "ingest", folder)
    worked(twins.parts, "ingest", folder)
    # Three blobs, four parts, one report.
    for left in range(8):
        twins.parts.store.delete("blobs")
        with monkeypatch.context() as patch:
            die_after(left, patch)
            with pytest.raises(Killed):
                staged_out(twins.parts, "ingest", folder)
    staged_out(twins.parts, "ingest", folder)
    twins.assert_same()
    assert blobs_of(twins.parts.store) == blobs_of(twins.whole.store)


def test_an_update_without_shards(twins: Twins) -> None:
    twins.collect()
    report = through_workspace(twins.parts, "ingest", twins.workspace())
    assert report.model_dump() == IngestReport(update="u", shards=[]).model_dump()
