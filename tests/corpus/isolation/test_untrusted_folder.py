"""What a broken sandbox may leave in a workspace: refused by name, and nothing is staged of it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd

from corpus import features
from corpus.contract.requests import CollectRequest
from corpus.errors import BadInputError
from corpus.features import FeatureSet
from corpus.isolation import parquet
from corpus.isolation.untrusted_folder import UntrustedFolder
from corpus.services.collect.service import collect
from corpus.services.extract import service as extract
from corpus.settings import Settings
from corpus.store import blobs
from corpus.store.object_store import Store, to_parquet
from corpus.store.staging import Update
from tests.support.archive_files import zip_of
from tests.support.executables import launcher, small_pe
from tests.support.privileges import not_root
from tests.support.workspaces import blobs_of, quiet, staged, staged_in, staged_out, worked

SHARD = "shard-0000"
PE = launcher("t64.exe")
SMALL = small_pe()
SHA = hashlib.sha256(PE).hexdigest()
FOREIGN = "f" * 64
PART = "staging/u/{}/shard-0000.parquet"
VECTORS = PART.format("features-a")
FAILURES = "staging/u/failures/extract-a-shard-0000.parquet"

Attack = Callable[[Path], None]


class Workspace:
    """A workspace that its service has worked in, and what the corpus had before it is staged out.

    Both are copies: they were made once, below `folder`.
    """

    def __init__(self, settings: Settings, service: str, folder: Path, copy: Path):
        self.service = service
        self.folder = Path(shutil.copytree(folder / "workspace", copy / "workspace"))
        self.made = quiet(settings, Store(shutil.copytree(folder / "corpus", copy / "corpus")))
        self.before = staged(self.made.store)

    def refuses(self, attack: Attack) -> BadInputError:
        attack(self.folder)
        with pytest.raises(BadInputError) as caught:
            staged_out(self.made, self.service, self.folder)
        assert staged(self.made.store) == self.before
        for key, data in blobs_of(self.made.store).items():
            sha256 = key.rsplit("/", 1)[-1].removesuffix(".zst")
            assert hashlib.sha256(zstd.decompress(data)).hexdigest() == sha256
        assert "nothing was staged" in (caught.value.hint or "")
        return caught.value


def work(settings: Settings, service: str, folder: Path) -> None:
    made = quiet(settings, Store(folder / "corpus"))
    staged_in(made, service, folder / "workspace")
    worked(made, service, folder / "workspace")


INGEST = Settings.load({"sources": {"max_file_bytes": 200_000}, "places": {"roots": ["/"]}})
EXTRACT = Settings.load({"features": {"sets": ["a"]}})


@pytest.fixture(scope="module")
def ingest_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ingest")
    source = folder / "in"
    source.mkdir()
    (source / "a.exe").write_bytes(PE)
    (source / "b.zip").write_bytes(zip_of({"x": SMALL, "t": b"text"}))
    (source / "c").write_bytes(b"")
    made = quiet(INGEST, Store(folder / "corpus"))
    collect(CollectRequest(update="u", sources=[str(source)]), made)
    work(INGEST, "ingest", folder)
    return folder


@pytest.fixture(scope="module")
def extract_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("extract")
    update = Update.open(Store(folder / "corpus"), "u")
    files = (b"1", b"2", b"a:error\n")
    sha256s = [hashlib.sha256(data).hexdigest() for data in files]
    for sha256, data in zip(sha256s, files, strict=True):
        blobs.put(update.store, sha256, data)
    update.write("samples", [{"sha256": sha256} for sha256 in sha256s], SHARD)
    features._SETS["a"] = FeatureSet("a", "unused", {"all": 4})
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2] / "support"))
        patch.setattr(extract, "extractor", import_module("extract_functions").extractor)
        work(EXTRACT, "extract", folder)
    yield folder
    del features._SETS["a"]


@pytest.fixture
def ingested(ingest_once: Path, tmp_path: Path) -> Workspace:
    return Workspace(INGEST, "ingest", ingest_once, tmp_path)


@pytest.fixture
def extracted(extract_once: Path, tmp_path: Path) -> Workspace:
    return Workspace(EXTRACT, "extract", extract_once, tmp_path)


# What is done to a folder


def replaced(key: str, data: bytes) -> Attack:
    def attack(folder: Path) -> None:
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(data)

    return attack


def without(key: str) -> Attack:
    return lambda folder: (folder / key).unlink()


def linked(key: str, target: str) -> Attack:
    def attack(folder: Path) -> None:
        (folder / key).unlink(missing_ok=True)
        (folder / key).symlink_to(target)

    return attack


def linked_folder(key: str) -> Attack:
    def attack(folder: Path) -> None:
        (folder / key).rename(folder.parent / "elsewhere")
        (folder / key).symlink_to(folder.parent / "elsewhere")

    return attack


def pipe(key: str) -> Attack:
    def attack(folder: Path) -> None:
        (folder / key).unlink(missing_ok=True)
        os.mkfifo(folder / key)

    return attack


def a_folder(key: str) -> Attack:
    def attack(folder: Path) -> None:
        (folder / key).unlink()
        (folder / key).mkdir()

    return attack


def a_socket(key: str) -> Attack:
    def attack(folder: Path) -> None:
        before = os.getcwd()
        os.chdir(folder / Path(key).parent)
        try:
            socket.socket(socket.AF_UNIX).bind(Path(key).name)
        finally:
            os.chdir(before)

    return attack


def table(key: str, change: Callable[[pa.Table], pa.Table]) -> Attack:
    def attack(folder: Path) -> None:
        rows = pq.read_table(folder / key, partitioning=None)
        (folder / key).write_bytes(to_parquet(change(rows)))

    return attack


def cell(key: str, field: str, value: Any, row: int = 0) -> Attack:
    def change(rows: pa.Table) -> pa.Table:
        values = rows[field].to_pylist()
        values[row] = value
        column = pa.array(values, rows.schema.field(field).type)
        return rows.set_column(rows.schema.get_field_index(field), rows.schema.field(field), column)

    return table(key, change)


def row(key: str, **cells: Any) -> Attack:
    """One more row, like the first but for these cells."""

    def change(rows: pa.Table) -> pa.Table:
        more = {**rows.slice(0, 1).to_pylist()[0], **cells}
        return pa.concat_tables([rows, pa.Table.from_pylist([more], schema=rows.schema)])

    return table(key, change)


def deep(folder: Path) -> None:
    path = folder
    for _ in range(40):
        path = path / "d"
        path.mkdir()


def cut(key: str, left: int) -> Attack:
    return lambda folder: (folder / key).write_bytes((folder / key).read_bytes()[:left])


def large(key: str, size: int) -> Attack:
    def attack(folder: Path) -> None:
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        with (folder / key).open("wb") as stream:
            stream.truncate(size)

    return attack


def parquet_bomb(folder: Path) -> None:
    """Two million times one text of half a megabyte, in a few kilobytes."""
    text = pa.array(["x" * 500_000])
    rows = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2_000_000, np.int32)), text)
    names = pq.read_schema(folder / PART.format("rejects")).names
    columns = {name: pa.nulls(len(rows), pa.string()) for name in names} | {"location": rows}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd", store_schema=False)
    (folder / PART.format("rejects")).write_bytes(sink.getvalue())


def report(**fields: Any) -> bytes:
    return json.dumps({"update": "u", "shards": [SHARD], **fields}).encode()


FOLDERS: dict[str, tuple[Attack, str]] = {
    "extra file": (replaced("staging/u/end.json", b"{}"), "staging/u/end.json: does not belong"),
    "foreign part": (replaced(PART.format("labels"), b""), "does not belong here"),
    "another shard": (replaced("staging/u/samples/shard-0001.parquet", b""), "does not belong"),
    "another update": (replaced("staging/v/samples/shard-0000.parquet", b""), "does not belong"),
    "snapshot": (replaced("snapshots/latest.json", b"{}"), "does not belong here"),
    "strange name": (replaced("workspace/sources/\x1b[2J\n\udcff", b""), "workspace/sources/%1B[2J%0A%FF: does"),
    "no blob": (replaced("blobs/sha256/aa/bb/../../x.zst", b""), "does not belong here"),
    "link": (linked(PART.format("samples"), "/etc/passwd"), "is not a regular file"),
    "link to a folder": (linked_folder("staging/u/samples"), "is not a regular file"),
    "dangling link": (linked("blobs/x", "/nonexistent"), "blobs/x: is not a regular file"),
    "link among temporary files": (linked("blobs/.tmp-1-2-3", "/etc"), "is not a regular file"),
    "pipe": (pipe(PART.format("samples")), "is not a regular file"),
    "folder": (a_folder(PART.format("samples")), "is not a regular file"),
    "socket": (a_socket("blobs/s"), "is not a regular file"),
    "deep folders": (deep, "too deep"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_no_file_of_the_service(ingested: Workspace, name: str) -> None:
    attack, said = FOLDERS[name]
    assert said in str(ingested.refuses(attack))


def test_a_device(ingested: Workspace) -> None:
    def attack(folder: Path) -> None:
        try:
            os.mknod(folder / "blobs/null", 0o600 | 0o020000, os.makedev(1, 3))
        except PermissionError as error:
            pytest.skip(f"devices are made by root only: {error}")

    assert "is not a regular file" in str(ingested.refuses(attack))


SAMPLES, REJECTS, SEEN_FILES = map(PART.format, ("samples", "rejects", "seen_files"))
REPORT = "staging/u/reports/ingest-shard-0000.json"
BLOB = blobs.key(SHA)
ROWS: dict[str, tuple[Attack, str, int | None, str | None]] = {
    "missing part": (without(SAMPLES), SAMPLES, None, None),
    "missing report": (without(REPORT), REPORT, None, None),
    "no report": (replaced(REPORT, b"[" * 100_000), REPORT, None, None),
    "nonsense in the report": (replaced(REPORT, report(filtered=-1)), REPORT, None, "filtered"),
    "huge report": (large(REPORT, 1 << 30), REPORT, None, None),
    "huge part": (large(SAMPLES, 1 << 40), SAMPLES, None, None),
    "empty part": (replaced(SAMPLES, b""), SAMPLES, None, None),
    "no parquet": (replaced(SAMPLES, b"PAR1" + bytes(99) + b"PAR1"), SAMPLES, None, None),
    "cut parquet": (cut(SAMPLES, -20), SAMPLES, None, None),
    "missing column": (table(SAMPLES, lambda t: t.drop(["tlsh"])), SAMPLES, None, "tlsh"),
    "extra column": (table(SAMPLES, lambda t: t.append_column("x", t["md5"])), SAMPLES, None, "x"),
    "column twice": (
        table(SAMPLES, lambda t: t.append_column("md5", t["md5"])), SAMPLES, None, "sha256"),
    "another type": (
        table(SAMPLES, lambda t: t.set_column(3, "size", t["size"].cast(pa.int32()))),
        SAMPLES, None, "size"),
    "unknown type": (
        table(SAMPLES, lambda t: t.set_column(3, "size", pa.array([b"1", b"2"]))), SAMPLES, None, None),
    "another order": (
        table(SAMPLES, lambda t: t.select(list(reversed(t.column_names)))), SAMPLES, None, "sha256"),
    "row of another update": (cell(SAMPLES, "update_id", "v", 1), SAMPLES, 2, "update_id"),
    "row of another snapshot": (cell(SAMPLES, "sequence", 2), SAMPLES, 1, "sequence"),
    "no sha256": (cell(SAMPLES, "sha256", "../" * 20 + "passwd"), SAMPLES, 1, "sha256"),
    "null sha256": (cell(SAMPLES, "sha256", None), SAMPLES, 1, "sha256"),
    "sample twice": (row(SAMPLES), SAMPLES, 3, "sha256"),
    "sample of nothing": (row(SAMPLES, sha256=FOREIGN), blobs.key(FOREIGN), None, None),
    "wrong md5": (cell(SAMPLES, "md5", "0" * 32, 1), SAMPLES, 2, "md5"),
    "wrong sha1": (cell(SAMPLES, "sha1", "0" * 40, 1), SAMPLES, 2, "sha1"),
    "upper case": (cell(SAMPLES, "md5", "A" * 32), SAMPLES, 1, "md5"),
    "wrong size": (cell(SAMPLES, "size", 150_000), SAMPLES, None, "size"),
    "small size": (cell(SAMPLES, "size", 5, 1), "blobs/", None, None),
    "negative size": (cell(SAMPLES, "size", -1), SAMPLES, 1, "size"),
    "too large": (cell(SAMPLES, "size", 1 << 40), SAMPLES, 1, "size"),
    "wrong type of file": (cell(SAMPLES, "file_type", "elf"), SAMPLES, None, "file_type"),
    "type not asked for": (cell(SAMPLES, "file_type", "text"), SAMPLES, 1, "file_type"),
    "wrong processor": (cell(SAMPLES, "arch", "arm"), SAMPLES, None, "arch"),
    "no tlsh": (cell(SAMPLES, "tlsh", "T1" + "g" * 70), SAMPLES, 1, "tlsh"),
    "no imphash": (cell(SAMPLES, "imphash", "x"), SAMPLES, 1, "imphash"),
    "foreign location": (cell(SAMPLES, "location", "/etc/shadow"), SAMPLES, 1, "location"),
    "control characters": (cell(SAMPLES, "location", "\x1b[2J"), SAMPLES, 1, "location"),
    "invented first-seen": (cell(SAMPLES, "first_seen", 1), SAMPLES, 1, "location"),
    "invented source": (cell(SAMPLES, "source", "elsewhere"), SAMPLES, 1, "location"),
    "invented tags": (cell(SAMPLES, "tags", ["trusted"]), SAMPLES, 1, "location"),
    "null tags": (cell(SAMPLES, "tags", None), SAMPLES, 1, "tags"),
    "unknown reason": (cell(REJECTS, "reason", "boredom"), REJECTS, 1, "reason"),
    "reject of no file": (cell(REJECTS, "location", "/x"), REJECTS, 1, "location"),
    "no files": (cell(REJECTS, "files", 0), REJECTS, 1, "files"),
    "unsupported nothing": (cell(REJECTS, "file_type", None), REJECTS, 1, "file_type"),
    "other fingerprint": (cell(SEEN_FILES, "fingerprint", "1/2"), SEEN_FILES, 1, "location"),
    "seen twice": (row(SEEN_FILES), SEEN_FILES, 4, "location"),
    "changed and seen": (
        cell(REJECTS, "reason", "changed"), SEEN_FILES, None, "location"),
    "missing blob": (without(BLOB), BLOB, None, None),
    "blob of other content": (replaced(BLOB, zstd.compress(PE[:-1] + b"x")), BLOB, None, None),
    "no blob": (replaced(BLOB, b"MZ"), BLOB, None, None),
    "cut blob": (cut(BLOB, -10), BLOB, None, None),
    "two frames": (replaced(BLOB, zstd.compress(PE) + zstd.compress(b"")), BLOB, None, None),
    "bomb": (replaced(BLOB, zstd.compress(PE + bytes(1 << 30))), BLOB, None, None),
    "huge blob": (large(BLOB, 1 << 40), BLOB, None, None),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_what_no_ingest_makes(ingested: Workspace, name: str) -> None:
    attack, file, number, field = ROWS[name]
    error = ingested.refuses(attack)
    assert (error.file or "").startswith(file)
    if number is not None:
        assert error.row == number
    assert error.field == field


def test_a_bomb_of_parquet_costs_an_error(
    ingested: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_MEMORY_BYTES", 1 << 30)
    error = ingested.refuses(parquet_bomb)
    assert error.file == REJECTS
    assert "cannot be decoded: memory" in str(error)


def failure(**cells: Any) -> Attack:
    """One more failure, like the first but for these cells."""
    return row(FAILURES, **cells)


WANTED: dict[str, tuple[Attack, str, int | None, str | None]] = {
    "no vectors": (without(VECTORS), VECTORS, None, None),
    "no failures": (without(FAILURES), VECTORS, None, None),
    "one vector less": (table(VECTORS, lambda t: t.slice(1)), VECTORS, None, None),
    "foreign sha256": (row(VECTORS, sha256=FOREIGN), VECTORS, 3, "sha256"),
    "twice": (row(VECTORS), VECTORS, 3, "sha256"),
    "vector and failure": (
        failure(sha256=hashlib.sha256(b"1").hexdigest()), FAILURES, 2, "sha256"),
    "foreign failure": (failure(sha256=FOREIGN), FAILURES, 2, "sha256"),
    "not a number": (cell(VECTORS, "vector", [0, float("nan"), 0, 0], 1), VECTORS, 2, "vector"),
    "infinite": (cell(VECTORS, "vector", [float("inf"), 0, 0, 0]), VECTORS, 1, "vector"),
    "missing number": (cell(VECTORS, "vector", [0, None, 0, 0]), VECTORS, None, None),
    "missing vector": (cell(VECTORS, "vector", None), VECTORS, None, None),
    "another width": (
        table(VECTORS, lambda t: t.set_column(
            1, "vector", pa.array([[0.0] * 5] * 2, pa.list_(pa.float32(), 5)))),
        VECTORS, None, "vector"),
    "no width": (
        table(VECTORS, lambda t: t.set_column(
            1, "vector", pa.array([[0.0] * 4] * 2, pa.list_(pa.float32())))),
        VECTORS, None, None),
    "wrong digest": (cell(VECTORS, "vector_sha256", "0" * 64), VECTORS, 1, "vector_sha256"),
    "null raw": (cell(VECTORS, "raw", None), VECTORS, 1, "raw"),
    "other service": (cell(FAILURES, "service", "ingest"), FAILURES, 1, "service"),
    "other set": (cell(FAILURES, "feature_set", "b"), FAILURES, 1, "service"),
    "unknown reason": (cell(FAILURES, "reason", "mood"), FAILURES, 1, "reason"),
    "endless time": (cell(FAILURES, "elapsed_s", float("inf")), FAILURES, 1, "elapsed_s"),
    "negative memory": (cell(FAILURES, "peak_memory_bytes", -1), FAILURES, 1, "peak_memory_bytes"),
    "escapes": (cell(FAILURES, "detail", "\x1b[31m"), FAILURES, 1, "detail"),
    "part of another set": (
        replaced(PART.format("features-b"), b""), PART.format("features-b"), None, None),
    "staged samples": (replaced(SAMPLES, b""), SAMPLES, None, None),
    "cut parquet": (cut(VECTORS, 100), VECTORS, None, None),
}  # fmt: skip


@pytest.mark.parametrize("name", WANTED)
def test_what_no_extraction_makes(extracted: Workspace, name: str) -> None:
    attack, file, number, field = WANTED[name]
    error = extracted.refuses(attack)
    assert (error.file, error.row, error.field) == (file, number, field)


def test_text_that_is_none(extracted: Workspace) -> None:
    def change(rows: pa.Table) -> pa.Table:
        offsets, text = np.array([0, 1, 2], np.int64), b"\xff\xfe"
        raw = pa.Array.from_buffers(
            pa.large_string(), 2, [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(text)]
        )
        return rows.set_column(3, "raw", raw)

    assert extracted.refuses(table(VECTORS, change)).file == VECTORS


def test_what_was_asked_for_is_not_read_from_the_workspace(extracted: Workspace) -> None:
    """Its own idea of which samples need which vectors may be anything."""
    extracted.refuses(
        lambda folder: (
            replaced("workspace/pending/shard-0000.json", b"nonsense")(folder),
            row(VECTORS, sha256=FOREIGN)(folder),
        )[0]
    )


def test_vectors_that_the_corpus_has_are_kept(extracted: Workspace) -> None:
    made, folder = extracted.made, extracted.folder
    staged_out(made, "extract", folder)
    first = staged(made.store)
    zero = np.zeros(4, np.float32)
    digest = hashlib.sha256(zero.tobytes()).hexdigest()
    cell(VECTORS, "vector", zero)(folder)
    cell(VECTORS, "vector_sha256", digest)(folder)
    staged_out(made, "extract", folder)
    assert staged(made.store) == first


def test_no_blob_is_ever_replaced(ingested: Workspace) -> None:
    made = ingested.made
    first = blobs.put(made.store, SHA, PE)
    packed = zstd.compress(PE, options={zstd.CompressionParameter.compression_level: 19})
    (ingested.folder / BLOB).write_bytes(packed)
    staged_out(made, "ingest", ingested.folder)
    (found,) = (
        (r["blob_sha256"], r["blob_size"])
        for r in Update.open(made.store, "u").read("samples").to_pylist()
        if r["sha256"] == SHA
    )
    assert found == (first.blob_sha256, first.blob_size)
    assert hashlib.sha256(made.store.read_bytes(BLOB)).hexdigest() == first.blob_sha256


def test_blobs_are_compressed_anew(ingested: Workspace) -> None:
    """However the sandbox packed one, the corpus has the bytes that it would have made itself."""
    packed = zstd.compress(PE, options={zstd.CompressionParameter.compression_level: 19})
    (ingested.folder / BLOB).write_bytes(packed)
    staged_out(ingested.made, "ingest", ingested.folder)
    other = Store(ingested.folder.parent / "other")
    blobs.put(other, SHA, PE)
    assert ingested.made.store.read_bytes(BLOB) == other.read_bytes(BLOB)


def test_what_nobody_names_stays_behind(ingested: Workspace) -> None:
    stranger = hashlib.sha256(b"x").hexdigest()
    replaced(blobs.key(stranger), zstd.compress(b"x"))(ingested.folder)
    replaced("blobs/.tmp-1-2-3", b"left by a killed writer")(ingested.folder)
    replaced("staging/u/reports/image-ingest-0123456789abcdef.json", b"{}")(ingested.folder)
    report = staged_out(ingested.made, "ingest", ingested.folder)
    assert report.model_dump()["samples"] == 2
    assert not ingested.made.store.exists(blobs.key(stranger))
    assert Update.open(ingested.made.store, "u").reports("image") == []


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("nowhere", "file", "link"):
        with pytest.raises(BadInputError, match="is not a folder"):
            UntrustedFolder(tmp_path / name)


def test_a_link_is_not_followed_whenever_it_was_made(ingested: Workspace, tmp_path: Path) -> None:
    """Reading does not count on the folder being as it was when it was looked through."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_bytes(b"planted-secret")
    with UntrustedFolder(ingested.folder) as folder:
        for link, key in (("blobs/l", "blobs/l/key"), ("blobs/k", "blobs/k")):
            target = secret if link == "blobs/l" else secret / "key"
            (ingested.folder / link).symlink_to(target)
            with pytest.raises(BadInputError, match="is not a file of its own"):
                folder.read(key, 100)
        os.mkfifo(ingested.folder / "blobs/p")
        with pytest.raises(BadInputError, match="is not a regular file"):
            folder.read("blobs/p", 100)
        assert folder.read("blobs/nothing/there", 100) is None


def test_what_may_not_be_read(ingested: Workspace) -> None:
    (ingested.folder / SAMPLES).chmod(0)
    with (
        not_root(ingested.folder),
        UntrustedFolder(ingested.folder) as folder,
        pytest.raises(BadInputError, match="cannot be opened: permission denied"),
    ):
        folder.read(SAMPLES, 100)
