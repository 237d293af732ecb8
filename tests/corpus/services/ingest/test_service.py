from __future__ import annotations

import gzip
import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest

from corpus.contract.progress import Progress
from corpus.contract.reports import IngestReport
from corpus.contract.requests import CollectRequest, IngestRequest
from corpus.errors import BadInputError, DamagedError, NotFoundError, PassingFaultError
from corpus.services.collect.service import collect
from corpus.services.context import Context
from corpus.services.ingest.identity import identify
from corpus.services.ingest.service import ingest
from corpus.settings import Settings
from corpus.sources.archives import Problem
from corpus.sources.candidate import Candidate, read
from corpus.store import blobs
from corpus.store.object_store import Store
from corpus.store.staging import Update
from tests.support import rows
from tests.support import small_disk as disks
from tests.support.archive_files import aes_zip_of, tar_of, zip_of
from tests.support.executables import launcher, real_elfs, small_pe
from tests.support.privileges import not_root

PE = launcher("t64.exe")
PE_32 = launcher("w32.exe")
ELF = real_elfs()[0].read_bytes()
SMALL = small_pe()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Corpus:
    """A corpus, and a folder `source` that it is fed from."""

    def __init__(self, tmp_path: Path, **sections: Mapping[str, Any]):
        self.source = tmp_path / "in"
        self.source.mkdir(exist_ok=True)
        root = str(tmp_path / "corpus")
        base = {
            "store": {"root": root},
            "sources": {"urls": [str(self.source)]},
            "places": {"roots": [str(tmp_path)]},
        }
        sources = {**base["sources"], **sections.pop("sources", {})}
        settings = Settings.load({**base, **sections, "sources": sources})
        self.context = Context(settings, Store(root), Progress(write=lambda line: None))

    @property
    def store(self) -> Store:
        return self.context.store

    def add(self, **files: bytes) -> None:
        for name, data in files.items():
            (self.source / name).write_bytes(data)

    def collect(self, update: str = "u", **request: Any) -> None:
        collect(CollectRequest(update=update, **request), self.context)

    def ingest(self, update: str = "u", **request: Any) -> IngestReport:
        return ingest(IngestRequest(update=update, **request), self.context)

    def run(self, update: str = "u", **request: Any) -> IngestReport:
        self.collect(update)
        return self.ingest(update, **request)

    def rows(self, table: str, update: str = "u") -> list[dict[str, Any]]:
        return Update.open(self.store, update).read(table).to_pylist()

    def samples(self, update: str = "u") -> dict[str, dict[str, Any]]:
        return {row["sha256"]: row for row in self.rows("samples", update)}

    def rejects(self, update: str = "u") -> list[tuple[str, str]]:
        """Reasons of the rejects, each with its location in the source folder."""
        return [
            (row["location"].removeprefix(f"{self.source}/"), row["reason"])
            for row in self.rows("rejects", update)
        ]

    def seen(self, update: str = "u") -> list[str]:
        locations = [row["location"] for row in self.rows("seen_files", update)]
        return [location.removeprefix(f"{self.source}/") for location in locations]

    def release(self, update: str) -> None:
        rows.release(Update.open(self.store, update))


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path)


def test_executables_become_samples(corpus: Corpus) -> None:
    corpus.add(**{"a.txt": PE, "b": ELF, "c.exe": b"only text", "d": b"%PDF-1.7"})
    report = corpus.run()
    assert report.model_dump() == {
        "update": "u", "shards": ["shard-0000"], "samples": 2, "known": 0, "filtered": 0,
        "rejects": {}, "unsupported": {"pdf": 1, "text": 1}, "bytes": len(PE) + len(ELF),
        "failures": 0,
    }  # fmt: skip
    row = corpus.samples()[sha(PE)]
    blob = corpus.store.read_bytes(blobs.key(sha(PE)))
    assert row == {
        "sha256": sha(PE), "md5": hashlib.md5(PE).hexdigest(), "sha1": hashlib.sha1(PE).hexdigest(), "size": len(PE), **identify(PE),
        "first_seen": None, "source": str(corpus.source), "location": f"{corpus.source}/a.txt",
        "tags": [], "blob_sha256": sha(blob), "blob_size": len(blob), "update_id": "u",
        "sequence": 1,
    }  # fmt: skip
    assert blobs.get(corpus.store, sha(ELF)) == ELF
    assert corpus.rejects() == [("c.exe", "unsupported"), ("d", "unsupported")]
    assert corpus.seen() == ["a.txt", "b", "c.exe", "d"]
    reports = Update.open(corpus.store, "u").reports("ingest")
    assert reports == [report.model_dump(mode="json")]


def test_what_a_manifest_says_goes_into_the_sample(tmp_path: Path, corpus: Corpus) -> None:
    corpus.add(a=PE)
    manifest = tmp_path / "m.csv"
    manifest.write_text(
        f"sha256,location,first_seen,source,tags\n{sha(PE).upper()},in/a,2024-01-02,feed,x;y\n"
    )
    corpus.collect(sources=[str(manifest)])
    corpus.ingest()
    row = corpus.samples()[sha(PE)]
    assert (row["source"], row["tags"]) == ("feed", ["x", "y"])
    assert row["first_seen"] == datetime(2024, 1, 2, tzinfo=UTC)


def test_archives_are_opened_and_counted_by_type(corpus: Corpus) -> None:
    notes = {f"n{number}.txt": b"text" for number in range(50)}
    corpus.add(
        **{
            "w.whl": zip_of({"a.pyd": PE, "b/t64.exe": PE_32, "__init__.py": b"", **notes}),
            "x.zip": aes_zip_of({"in.tgz": tar_of({"elf": ELF}, "w:gz")}),
        }
    )
    report = corpus.run()
    assert (report.samples, report.unsupported) == (3, {"empty": 1, "text": 50})
    locations = {row["location"].rsplit("/in/")[-1] for row in corpus.rows("samples")}
    assert locations == {"w.whl::a.pyd", "w.whl::b/t64.exe", "x.zip::in.tgz::elf"}
    counted = [(r["location"], r["file_type"], r["files"]) for r in corpus.rows("rejects")]
    place = f"{corpus.source}/w.whl"
    assert counted == [(place, "empty", 1), (place, "text", 50)]


def test_a_wheel_of_this_environment(corpus: Corpus) -> None:
    """A wheel as it is published, with executables among hundreds of other files."""
    import pip

    folder = Path(pip.__file__).parent
    members = {
        str(path.relative_to(folder.parent)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".py", ".exe")
    }
    corpus.add(**{"pip.whl": zip_of(members)})
    report = corpus.run()
    assert report.samples == len({data for name, data in members.items() if name.endswith(".exe")})


def test_only_the_types_asked_for_and_the_rest_another_time(corpus: Corpus) -> None:
    corpus.add(
        **{"pe": PE, "elf": ELF, "both.zip": zip_of({"a": PE_32, "b": real_elfs()[1].read_bytes()})}
    )
    report = corpus.run("one", file_types=["pe"])
    assert (report.samples, report.filtered) == (2, 2)
    assert corpus.seen("one") == ["pe"]
    corpus.release("one")
    report = corpus.run("two")
    assert (report.samples, report.known) == (2, 1)
    assert {row["file_type"] for row in corpus.rows("samples", "two")} == {"elf"}


def test_the_same_bytes_in_many_places_are_one_sample(corpus: Corpus) -> None:
    corpus.add(**{"z": PE, "b": PE, "c.zip": zip_of({"y": PE, "x": PE}), "d.gz": gzip.compress(PE)})
    report = corpus.run()
    assert report.samples == 1
    assert corpus.samples()[sha(PE)]["location"] == f"{corpus.source}/b"
    assert corpus.seen() == ["b", "c.zip", "d.gz", "z"]


def test_of_two_members_the_first_by_name_counts(corpus: Corpus) -> None:
    corpus.add(a=zip_of([("y", PE), ("x", PE)]))
    corpus.run()
    assert corpus.samples()[sha(PE)]["location"] == f"{corpus.source}/a::x"


def test_known_samples_are_counted_not_staged(corpus: Corpus) -> None:
    corpus.add(a=PE, b=ELF)
    corpus.run("one")
    corpus.release("one")
    corpus.add(c=PE, d=PE_32)
    report = corpus.run("two")
    assert (report.samples, report.known) == (1, 1)
    assert list(corpus.samples("two")) == [sha(PE_32)]
    assert corpus.seen("two") == ["c", "d"]


def test_a_lost_blob_of_a_known_sample_is_stored_again(corpus: Corpus) -> None:
    corpus.add(a=PE)
    corpus.run("one")
    corpus.release("one")
    corpus.store.delete(blobs.key(sha(PE)))
    corpus.add(b=PE)
    assert corpus.run("two").known == 1
    assert blobs.get(corpus.store, sha(PE)) == PE
    assert corpus.samples("two") == {}


def test_again_gives_the_same_bytes(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path, shards={"max_files": 2})
    corpus.add(a=PE, b=ELF, c=PE, d=b"text", e=b"", f=zip_of({"x": PE_32, "y": SMALL}))

    def content() -> dict[str, bytes]:
        keys = corpus.store.list("staging") + corpus.store.list("blobs")
        return {key: corpus.store.read_bytes(key) for key in keys}

    corpus.run()
    first = content()
    # A retry that finds every blob, one that finds none, and one of the shards in another order.
    corpus.ingest()
    assert content() == first
    corpus.store.delete("blobs")
    for shard in reversed(Update.open(corpus.store, "u").shards()):
        assert corpus.ingest(shards=[shard]).shards == [shard]
    assert content() == first
    assert len(corpus.rows("samples")) == 4


def test_one_sample_in_two_shards_belongs_to_the_first(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path, shards={"max_files": 1})
    corpus.add(a=PE, b=PE)
    report = corpus.run()
    assert report.shards == ["shard-0000", "shard-0001"]
    (row,) = corpus.rows("samples")
    assert row["location"] == f"{corpus.source}/a"


def test_a_file_of_no_bytes(corpus: Corpus) -> None:
    corpus.add(a=b"")
    assert corpus.run().rejects == {"empty": 1}
    assert corpus.rejects() == [("a", "empty")]
    assert corpus.seen() == ["a"]


def test_a_wrong_hash_is_refused_and_both_are_named(tmp_path: Path, corpus: Corpus) -> None:
    corpus.add(**{"a.exe": PE, "b.txt": b"text", "c.zip": zip_of({"x": ELF})})
    manifest = tmp_path / "m.csv"
    wrong = "0" * 64
    lines = [f"{wrong},in/{name}" for name in ("a.exe", "b.txt", "c.zip")]
    manifest.write_text("\n".join(["sha256,location", *lines]) + "\n")
    corpus.collect(sources=[str(manifest)])
    report = corpus.ingest()
    assert (report.samples, report.rejects) == (0, {"hash_mismatch": 3})
    for row in corpus.rows("rejects"):
        actual = sha(Path(row["location"]).read_bytes())
        assert row["sha256"] == actual
        assert wrong in row["detail"]
        assert actual in row["detail"]
    assert corpus.store.list("blobs") == []
    assert len(corpus.seen()) == 3


def test_the_expected_member_of_an_archive(tmp_path: Path, corpus: Corpus) -> None:
    archive = aes_zip_of({"a": PE, "b": ELF, "c": PE_32, "d": b"text"})
    corpus.add(**{"one.zip": archive, "whole.zip": zip_of({"s": SMALL})})
    manifest = tmp_path / "m.csv"
    whole = sha((corpus.source / "whole.zip").read_bytes())
    manifest.write_text(
        f"sha256,location\n{sha(ELF)},in/one.zip\n{sha(PE_32)},in/one.zip\n{whole},in/whole.zip\n"
    )
    corpus.collect(sources=[str(manifest)])
    report = corpus.ingest()
    assert set(corpus.samples()) == {sha(ELF), sha(PE_32), sha(SMALL)}
    assert (report.rejects, report.unsupported) == ({}, {})
    assert len(corpus.seen()) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(ELF),
        lambda path: os.utime(path, (1, 1)),
        lambda path: path.unlink(),
    ],
    ids=["content", "time", "gone"],
)
def test_a_file_that_changed_since_it_was_listed(corpus: Corpus, change: Any) -> None:
    corpus.add(a=PE, b=PE_32)
    corpus.collect("one")
    change(corpus.source / "a")
    report = corpus.ingest("one")
    assert (report.samples, report.rejects) == (1, {"changed": 1})
    assert corpus.rejects("one") == [("a", "changed")]
    assert corpus.seen("one") == ["b"]
    corpus.release("one")
    report = corpus.run("two")
    assert report.samples == (corpus.source / "a").exists()


def test_a_file_that_became_a_pipe_or_a_folder(corpus: Corpus) -> None:
    corpus.add(a=PE, b=PE)
    corpus.collect()
    for name in "ab":
        (corpus.source / name).unlink()
    os.mkfifo(corpus.source / "a")
    (corpus.source / "b").mkdir()
    assert corpus.ingest().rejects == {"unreadable": 2}
    assert corpus.seen() == []


def test_a_file_that_may_not_be_read(corpus: Corpus) -> None:
    corpus.add(a=PE)
    corpus.collect()
    (row,) = corpus.rows("candidates")
    (corpus.source / "a").chmod(0)
    with not_root(corpus.source):
        files = corpus.context.files(Update.open(corpus.store, "u"))
        (found,) = read(Candidate.of(row), files, corpus.context.settings.sources)
    assert isinstance(found, Problem)
    assert (found.reason, found.detail, found.whole) == ("unreadable", "permission denied", True)


def test_a_bomb_refuses_its_source_file_and_no_other(corpus: Corpus) -> None:
    bomb = zip_of([("a.exe", PE), ("t.txt", b"text"), ("zero", b"MZ" + bytes(200 << 20))])
    corpus.add(**{"bomb.zip": bomb, "ok.exe": ELF})
    report = corpus.run()
    assert (report.samples, report.rejects, report.unsupported) == (1, {"bomb": 1}, {})
    assert list(corpus.samples()) == [sha(ELF)]
    # Looked at once is enough, until the limits or the file change.
    assert corpus.seen() == ["bomb.zip", "ok.exe"]


def test_a_sample_of_a_bomb_counts_where_it_lies_elsewhere(corpus: Corpus) -> None:
    bomb = zip_of([("a.exe", PE), ("zero", b"MZ" + bytes(200 << 20))])
    corpus.add(**{"a.zip": bomb, "b.exe": PE})
    assert corpus.run().samples == 1
    assert corpus.samples()[sha(PE)]["location"] == f"{corpus.source}/b.exe"


def test_encrypted_damaged_and_too_large(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path, sources={"max_file_bytes": len(ELF) - 1})
    cut = tar_of([("a", SMALL), ("b", PE_32)])[:-60_000]
    corpus.add(**{"enc.zip": aes_zip_of({"a": PE}, b"?"), "cut.tar": cut, "big": ELF})
    report = corpus.run()
    assert report.rejects == {"damaged_archive": 1, "encrypted": 1, "too_large": 1}
    assert list(corpus.samples()) == [sha(SMALL)]
    assert len(corpus.seen()) == 3


def test_names_of_all_kinds(corpus: Corpus) -> None:
    for name, data in {b"line\nbreak": PE, b"\xff\xfe": ELF, b"100%": PE_32}.items():
        with open(os.fsencode(corpus.source) + b"/" + name, "wb") as stream:
            stream.write(data)
    corpus.add(z=tar_of({"in\nside \udcff": SMALL}))
    corpus.run("one")
    found = {k: v["location"].rsplit("/", 1)[-1] for k, v in corpus.samples("one").items()}
    assert found == {
        sha(PE): "line%0Abreak", sha(ELF): "%FF%FE", sha(PE_32): "100%25",
        sha(SMALL): "z::in%0Aside %FF",
    }  # fmt: skip
    corpus.release("one")
    corpus.collect("two")
    assert corpus.rows("candidates", "two") == []


def test_an_identification_that_fails_costs_a_failure_not_the_sample(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path, features={"memory_bytes": 64 << 20})
    huge = SMALL + random.Random(1).randbytes(1 << 20) * 100
    corpus.add(huge=huge, ok=PE)
    report = corpus.run()
    assert (report.samples, report.failures) == (2, 1)
    row = corpus.samples()[sha(huge)]
    assert (row["file_type"], row["arch"]) == ("pe", "x86_64")
    assert (row["tlsh"], row["imphash"]) == (None, None)
    assert corpus.samples()[sha(PE)]["tlsh"]
    (failure,) = corpus.rows("failures")
    assert (failure["sha256"], failure["service"], failure["feature_set"]) == (
        sha(huge),
        "ingest",
        "",
    )
    assert failure["reason"] == "memory"
    assert blobs.get(corpus.store, sha(huge)) == huge
    assert len(corpus.seen()) == 2


def test_200_mb_pass_through_in_few_copies(corpus: Corpus) -> None:
    size = 200 << 20
    noise = random.Random(2).randbytes(1 << 20)
    with (corpus.source / "huge.exe").open("wb") as stream:
        stream.write(SMALL)
        for number in range(size >> 20):
            stream.write(number.to_bytes(4, "big") + noise)
    corpus.collect()
    code = (
        "import re, sys\n"
        "from corpus.contract.progress import Progress\n"
        "from corpus.services.context import Context\n"
        "from corpus.contract.requests import IngestRequest\n"
        "from corpus.services.ingest.service import ingest\n"
        "from corpus.settings import Settings\n"
        "sections = {'store': {'root': sys.argv[1]}, 'sources': {'urls': [sys.argv[2]]}}\n"
        "made = Context.from_settings(Settings.load(sections))\n"
        "assert ingest(IngestRequest(update='u'), made).samples == 1\n"
        # getrusage would count what the parent had in memory when it forked.
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, corpus.store.url, str(corpus.source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # The file, its compressed form, and an interpreter with its libraries.
    assert int(done.stdout) << 10 < 2.2 * size + (200 << 20)
    (row,) = corpus.rows("samples")
    assert row["size"] > size


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    with disks.small_disk(tmp_path / "disk", 2) as place:
        yield place


def test_a_full_disk_is_a_passing_fault_and_leaves_nothing_half(
    tmp_path: Path, small_disk: Path
) -> None:
    corpus = Corpus(tmp_path)
    noise = random.Random(3)
    for number in range(10):
        corpus.add(**{f"f{number}": SMALL + noise.randbytes(400_000)})
    settings = corpus.context.settings
    made = Context(settings, Store(small_disk / "corpus"), corpus.context.progress)
    collect(CollectRequest(update="u"), made)
    with pytest.raises(PassingFaultError) as error:
        ingest(IngestRequest(update="u"), made)
    assert error.value.exit_status == 75
    assert "blobs/" in error.value.fields["key"]
    stored = made.store.list("blobs")
    assert stored
    for key in stored:
        blobs.get(made.store, key.rsplit("/", 1)[-1].removesuffix(".zst"))
    assert not list(small_disk.rglob(".tmp-*"))
    assert Update.open(made.store, "u").parts("samples") == []
    # With more space the same call gets to the end.
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert ingest(IngestRequest(update="u"), made).samples == 10


def test_a_damaged_blob_is_not_built_on(corpus: Corpus) -> None:
    corpus.add(a=PE)
    corpus.store.write_bytes(blobs.key(sha(PE)), b"not this")
    corpus.collect()
    with pytest.raises(DamagedError):
        corpus.ingest()
    assert corpus.rows("samples") == []


def test_a_remote_source_and_a_remote_corpus(tmp_path: Path) -> None:
    fs = fsspec.filesystem("memory")
    name = tmp_path.name
    fs.pipe_file(f"/{name}/in/a.exe", PE)
    fs.pipe_file(f"/{name}/in/b.zip", zip_of({"x": ELF, "y": zip_of({"z": SMALL})}))
    settings = Settings.load({"sources": {"urls": [f"memory://{name}/in"]}})
    made = Context(settings, Store(f"memory://{name}/corpus"), Progress(write=lambda line: None))
    collect(CollectRequest(update="u"), made)
    assert ingest(IngestRequest(update="u"), made).samples == 3
    fs.pipe_file(f"/{name}/in/a.exe", PE_32)
    assert ingest(IngestRequest(update="u"), made).rejects == {"changed": 1}
    fs.rm(f"/{name}", recursive=True)


def test_known_candidates_are_left_to_extract(corpus: Corpus) -> None:
    update = Update.open(corpus.store, "u")
    update.write("candidates", [{"known_sha256": sha(PE), "size": 5}], "shard-0000")
    assert corpus.ingest().samples == 0
    assert corpus.rows("rejects") == []


def test_an_update_and_shards_that_are_there(corpus: Corpus) -> None:
    with pytest.raises(BadInputError, match="update is needed"):
        ingest(IngestRequest(), corpus.context)
    with pytest.raises(NotFoundError):
        corpus.ingest("never-begun")
    corpus.add(a=PE)
    corpus.collect()
    with pytest.raises(NotFoundError, match="shard-0009"):
        corpus.ingest(shards=["shard-0009"])


def test_an_update_without_shards_is_nothing_new(corpus: Corpus) -> None:
    report = corpus.run()
    assert (report.shards, report.samples) == ([], 0)
