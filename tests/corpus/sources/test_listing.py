from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from corpus.errors import BadInputError
from corpus.places.places import Places
from corpus.sources.files import Files
from corpus.sources.listing import Patterns, SourceFile, Unreadable, is_manifest, list_files
from tests.support.places import anywhere
from tests.support.privileges import not_root

pytestmark = pytest.mark.fast
FILES = anywhere("memory://listed", "memory://nowhere")


def names(
    url: str | Path, include: tuple[str, ...] = ("**",), exclude: tuple[str, ...] = ()
) -> list[str]:
    """What is listed at a URL, below it, sorted."""
    found = list(list_files(str(url), FILES, Patterns(include, exclude)))
    assert all(isinstance(file, SourceFile) for file in found)
    return sorted(file.location.removeprefix(str(url)) for file in found)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.exe", "b.txt", "sub/c.exe", "sub/deep/d.exe", "sub/deep/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


@pytest.fixture
def memory(folder: Path) -> Iterator[str]:
    fs = fsspec.filesystem("memory")
    url = f"memory://listed/{folder.name}"
    for path in folder.rglob("*"):
        if path.is_file():
            fs.pipe_file(f"/listed/{folder.name}/{path.relative_to(folder)}", path.read_bytes())
    yield url
    fs.rm(f"/listed/{folder.name}", recursive=True)


def test_a_folder_is_listed_to_its_depths(folder: Path) -> None:
    assert names(folder) == [
        "/a.exe",
        "/b.txt",
        "/sub/c.exe",
        "/sub/deep/.hidden",
        "/sub/deep/d.exe",
    ]
    assert names(f"file://{folder}/sub".removeprefix("file://")) == [
        "/c.exe", "/deep/.hidden", "/deep/d.exe",
    ]  # fmt: skip


def test_all_ways_to_name_a_folder_give_the_same_locations(folder: Path) -> None:
    expected = {file.location for file in list_files(str(folder), FILES, Patterns())}
    for url in (f"{folder}/", f"file://{folder}", f"local://{folder}", f"/{folder}/./"):
        assert {file.location for file in list_files(url, FILES, Patterns())} == expected


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (("*.exe",), (), ["/a.exe", "/sub/c.exe", "/sub/deep/d.exe"]),
        (("sub/*",), (), ["/sub/c.exe"]),
        (("sub/**",), (), ["/sub/c.exe", "/sub/deep/.hidden", "/sub/deep/d.exe"]),
        (("**/d.exe", "b.*"), (), ["/b.txt", "/sub/deep/d.exe"]),
        (("**",), ("sub/**",), ["/a.exe", "/b.txt"]),
        (("**",), ("*.exe", ".*"), ["/b.txt"]),
        (("**",), ("sub",), ["/a.exe", "/b.txt"]),
        (("**",), ("deep/",), ["/a.exe", "/b.txt", "/sub/c.exe"]),
        (("**",), ("sub/deep",), ["/a.exe", "/b.txt", "/sub/c.exe"]),
        (
            ("**",),
            ("su", "eep", "deep/d", "c.exe"),
            [
                "/a.exe",
                "/b.txt",
                "/sub/deep/.hidden",
                "/sub/deep/d.exe",
            ],
        ),
        (
            ("**",),
            ("s?b",),
            [
                "/a.exe",
                "/b.txt",
                "/sub/c.exe",
                "/sub/deep/.hidden",
                "/sub/deep/d.exe",
            ],
        ),
        (("deep",), (), ["/sub/deep/.hidden", "/sub/deep/d.exe"]),
        ((), (), []),
    ],
)
def test_globs(
    folder: Path,
    memory: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    expected: list[str],
) -> None:
    assert names(folder, include, exclude) == expected
    assert names(memory, include, exclude) == expected


def test_a_remote_folder(memory: str, folder: Path) -> None:
    assert names(memory) == names(folder)
    found = list(list_files(memory, FILES, Patterns()))
    assert all(isinstance(f, SourceFile) and f.location.startswith("memory://") for f in found)
    for file in found:
        assert isinstance(file, SourceFile)
        assert FILES.stat(file.location) == file.stat
        with FILES.open(file.location) as stream:
            assert stream.read() == (folder / file.location.removeprefix(memory + "/")).read_bytes()


def test_a_file_named_by_its_url_is_always_taken(folder: Path, memory: str) -> None:
    for url in (f"{folder}/a.exe", f"{memory}/a.exe"):
        (file,) = list_files(url, FILES, Patterns(exclude=["*"]))
        assert isinstance(file, SourceFile)
        assert (file.location, file.source, file.stat.size) == (url, url, 5)


@pytest.mark.parametrize("url", ["/nowhere/at/all", "memory://nowhere", "memory://nowhere/a.exe"])
def test_a_source_that_is_not_there(url: str) -> None:
    with pytest.raises(BadInputError, match="does not exist") as error:
        list(list_files(url, FILES, Patterns()))
    assert error.value.file == url


def test_an_empty_folder_has_nothing(tmp_path: Path) -> None:
    assert names(tmp_path) == []


def test_links_are_not_followed_and_loops_end(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = names(folder)
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret").write_bytes(b"x")
    (folder / "loop").symlink_to(folder)
    (folder / "out").symlink_to(outside)
    (folder / "file").symlink_to(outside / "secret")
    (folder / "twice").symlink_to(folder / "a.exe")
    (folder / "broken").symlink_to(folder / "nothing")
    assert names(folder) == before


def test_a_source_may_be_a_link_itself(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    link = tmp_path_factory.mktemp("links") / "in"
    link.symlink_to(folder)
    listed = Files(Places().adding([str(link)]))
    found = [file.location for file in list_files(str(link), listed, Patterns())]
    assert sorted(name.removeprefix(str(link)) for name in found) == names(folder)
    with pytest.raises(BadInputError, match="reached through a link"):
        names(link)


def test_what_is_no_file_is_left_out(folder: Path) -> None:
    before = names(folder)
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        assert names(folder) == before


def test_a_pipe_named_as_a_source_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInputError, match="not a regular file"):
        list(list_files(str(tmp_path / "pipe"), FILES, Patterns()))
    with pytest.raises(OSError, match="regular"):
        FILES.open(str(tmp_path / "pipe"))


def test_any_name_is_listed_and_read_back(tmp_path: Path) -> None:
    raw = [b"line\nbreak", b"\xff\xfe\x80", "ü日".encode(), b"100%", b"%41", b"a::b", b" ", b"a\rb"]
    for name in raw:
        with open(os.fsencode(tmp_path) + b"/" + name, "wb") as stream:
            stream.write(b"=" + name)
    read = set()
    for file in list_files(str(tmp_path), FILES, Patterns()):
        assert isinstance(file, SourceFile)
        file.location.encode()
        assert file.location.isprintable()
        with FILES.open(file.location) as content:
            read.add(content.read()[1:])
    assert read == set(raw)


def test_odd_names_of_a_remote_folder(memory: str) -> None:
    fs = fsspec.filesystem("memory")
    base = memory.removeprefix("memory:/")
    for name in ("100%", "line\nbreak", "a b"):
        fs.pipe_file(f"{base}/odd/{name}", name.encode())
    read = {}
    for file in list_files(f"{memory}/odd", FILES, Patterns()):
        assert isinstance(file, SourceFile)
        with FILES.open(file.location) as content:
            read[file.location.rsplit("/", 1)[-1]] = content.read()
    assert read == {
        "100%25": b"100%",
        "line%0Abreak": b"line\nbreak",
        "a b": b"a b",
    }


def test_a_folder_that_may_not_be_read(folder: Path) -> None:
    (folder / "sub" / "deep").chmod(0)
    with not_root(folder):
        found = list(list_files(str(folder), FILES, Patterns()))
    (folder / "sub" / "deep").chmod(0o755)
    closed = [file for file in found if isinstance(file, Unreadable)]
    assert [(file.location, file.detail) for file in closed] == [
        (f"{folder}/sub/deep", "permission denied")
    ]
    assert len(found) == 4


def test_the_fingerprint_tells_a_change(folder: Path) -> None:
    def fingerprint() -> str:
        (file,) = list_files(f"{folder}/a.exe", FILES, Patterns())
        assert isinstance(file, SourceFile)
        return file.fingerprint

    first = fingerprint()
    assert fingerprint() == first
    os.utime(folder / "a.exe", ns=(1, 1))
    second = fingerprint()
    (folder / "a.exe").write_bytes(b"longer than it was")
    os.utime(folder / "a.exe", ns=(1, 1))
    assert len({first, second, fingerprint()}) == 3


def test_manifests_are_told_by_name(folder: Path) -> None:
    (folder / "odd.csv").mkdir()
    assert is_manifest("s3://bucket/today.jsonl")
    assert is_manifest("/x/M.CSV")
    assert is_manifest("m.parquet")
    assert not is_manifest(str(folder / "odd.csv"))
    assert not is_manifest("/x/csv")
