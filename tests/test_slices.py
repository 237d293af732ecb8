"""What a service stages by way of a slice is, byte for byte, what it stages without."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corpus.errors import BadInput, NotFound, PassingFault
from corpus.services.base import Context
from corpus.services.collect import CollectRequest, collect
from corpus.services.ingest import IngestRequest, ingest
from corpus.settings import Settings
from corpus.store import blobs
from corpus.store.root import Store
from corpus.store.updates import Update
from tests import rows
from tests.features.executables import launcher, real_elfs, small_pe
from tests.slicing import blobs_of, given, quiet, sliced, staged, taken, tree, worked
from tests.sources.archive_files import aes_zip_of, tar_of, zip_of

PE = launcher("t64.exe")
PE_32 = launcher("w32.exe")
ELF = real_elfs()[0].read_bytes()
SMALL = small_pe()
NOISE = random.Random(4).randbytes(1 << 20)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Twins:
    """Two corpora fed from one folder: `whole` has its services work in it, `parts` in slices."""

    def __init__(self, folder: Path, **sections: Any):
        self.folder = folder
        self.source = folder / "in"
        self.source.mkdir()
        sources = {"urls": [str(self.source)], **sections.pop("sources", {})}
        settings = Settings.load({**sections, "sources": sources})
        self.whole = quiet(settings, Store(folder / "whole"))
        self.parts = quiet(settings, Store(folder / "parts"))
        self.slices = 0

    def add(self, **files: bytes) -> None:
        for name, data in files.items():
            (self.source / name).write_bytes(data)

    def collect(self, update: str = "u", **request: Any) -> None:
        for made in (self.whole, self.parts):
            collect(CollectRequest(update=update, **request), made)

    def ingest(self, update: str = "u", **request: Any) -> Any:
        """Ingest both, the one in slices shard by shard; gives the report, and checks it is the same."""
        report = ingest(IngestRequest(update=update, **request), self.whole)
        for shard in report.shards:
            self.slices += 1
            folder = self.folder / f"slice-{self.slices}"
            sliced(self.parts, "ingest", folder, update, shards=[shard], **request)
        return report

    def release(self, update: str) -> None:
        for made in (self.whole, self.parts):
            rows.release(Update.open(made.store, update), {"counts": {}})

    def assert_same(self, update: str = "u") -> None:
        ours, theirs = staged(self.parts.store, update), staged(self.whole.store, update)
        assert ours.keys() == theirs.keys()
        for key, data in theirs.items():
            assert ours[key] == data, key

    def rejects(self, update: str = "u") -> dict[str, int]:
        counts: dict[str, int] = {}
        for row in Update.open(self.parts.store, update).read("rejects").to_pylist():
            counts[row["reason"]] = counts.get(row["reason"], 0) + row["files"]
        return counts


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
    # The members of a bomb are no samples, and their blobs, if there is nobody else's, not wanted.
    assert blobs_of(twins.parts.store) == blobs_of(twins.whole.store)
