"""Places: each spelling is refused with one clear error, or opens what lies below an allowed root."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from corpus.errors import BadInputError
from corpus.places import beneath
from corpus.places.place import BUCKETS, HOSTS, parse
from corpus.places.places import Places, absolute
from corpus.settings import Settings
from tests.support.spellings import REFUSED, SECRET, TAKEN, garden, spelled

pytestmark = pytest.mark.fast


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return garden(tmp_path_factory.mktemp("places"))


@pytest.fixture
def places(names: dict[str, str]) -> Places:
    return Places.of(Settings.load({"sources": {"urls": [names["{in}"]]}, "store": {"root": "/c"}}))


def inodes(folder: str) -> set[tuple[int, int]]:
    """What lies below a folder, each as its device and number."""
    found = set()
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            look = os.lstat(os.path.join(path, name))
            if stat.S_ISREG(look.st_mode):
                found.add((look.st_dev, look.st_ino))
    return found


def opened(places: Places, text: str) -> tuple[int, int]:
    with places.open(places.place(text)) as stream:
        look = os.fstat(stream.fileno())
    return look.st_dev, look.st_ino


@pytest.mark.parametrize("text", REFUSED)
def test_a_spelling_that_is_refused(places: Places, names: dict[str, str], text: str) -> None:
    written = spelled(text, names)
    with pytest.raises((BadInputError, OSError)) as caught:
        opened(places, written)
    assert SECRET not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("text", "below"), TAKEN.items())
def test_a_spelling_that_is_taken(
    places: Places, names: dict[str, str], text: str, below: str
) -> None:
    look = os.stat(f"{names['{in}']}/{below}")
    assert opened(places, spelled(text, names)) == (look.st_dev, look.st_ino)


PIECES = st.sampled_from(
    ["/", "//", "..", ".", "%2e", "%2E%2e", "%2f", "%00", "\0", "~", "::", ":", "@", "\\", "#", "?", "[", "]",
     "{in}", "{out}", "a.txt", "secret.txt", "sub", "link-to-secret", "link-to-out", "fifo", "/proc/self/environ",
     "/etc/passwd", "/dev/zero", *(f"{scheme}://" for scheme in (*BUCKETS, *HOSTS, "file", "local", "zip", "x")),
     "127.0.0.1", "localhost", "\n", "\ud800", "é", " "]
)  # fmt: skip


@settings(
    max_examples=1_500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(PIECES, max_size=9))
@example(["{in}", "/", "link-to-out", "/", "secret.txt"])
@example(["/", "x", "://", "..", "{out}", "/", "secret.txt"])
def test_whatever_is_opened_lies_below_the_root(
    places: Places, names: dict[str, str], pieces: list[str]
) -> None:
    text = spelled("".join(pieces), names)
    try:
        found = opened(places, text)
    except BadInputError:
        return
    except OSError:
        # A link or a pipe, or it would lie below the root if there were such a file.
        return
    assert found in inodes(names["{in}"])


@settings(
    max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(max_size=40))
def test_a_place_is_one_spelling(text: str) -> None:
    try:
        place = parse(text)
    except BadInputError:
        return
    assert parse(place.path) == place
    assert ".." not in place.path.split("/")


@pytest.mark.parametrize("literal", [False, True])
@pytest.mark.parametrize(
    ("text", "path", "host", "bucket"),
    [
        ("S3://Bucket/a b/ü", "s3://Bucket/a b/ü", "", "Bucket"),
        ("HTTPS://Example.ORG:443/A?sig=%41", "https://example.org/A?sig=%41", "example.org", ""),
        ("http://example.org:8080/", "http://example.org:8080/", "example.org:8080", ""),
        ("https://[2001:DB8::0:1]/a", "https://[2001:db8::1]/a", "[2001:db8::1]", ""),
    ],
)
def test_a_remote_place(text: str, path: str, host: str, bucket: str, literal: bool) -> None:
    place = parse(text, literal=literal)
    assert (place.path, place.host, place.bucket, place.is_local) == (path, host, bucket, False)


def test_names_that_were_listed_may_hold_anything_but_nul() -> None:
    for name in ("line\nbreak", "%2e%2e", "a::b", "\udcff"):
        assert parse(f"/in/{name}", literal=True).path == f"/in/{name}"
        assert parse(f"s3://b/{name}", literal=True).path == f"s3://b/{name}"
    for name in ("..", "a\0b"):
        with pytest.raises(BadInputError):
            parse(f"/in/{name}", literal=True)
    with pytest.raises(BadInputError):
        parse("https://example.org/%2e%2e/a", literal=True)


def test_what_the_settings_name_is_allowed(tmp_path: Path) -> None:
    made = Places.of(
        Settings.load(
            {
                "store": {"root": "s3://corpus/one"},
                "sources": {"urls": [f"{tmp_path}/lists/today.csv", "s3://samples/in", "relative"]},
                "verdicts": {"feeds": [{"place": "https://verdicts.example/v.jsonl"}]},
                "places": {
                    "roots": [f"{tmp_path}/more"],
                    "schemes": ["gs"],
                    "hosts": ["mirror.example:8080", "10.0.0.0/8"],
                    "buckets": ["others"],
                },
            }
        )
    )
    for text in (
        f"{tmp_path}/lists/a.exe",
        f"{tmp_path}/more/deep/b",
        "s3://corpus/two",
        "s3://samples/x",
        "gs://others/y",
        "https://verdicts.example/w",
        "https://mirror.example:8080/",
        "https://10.1.2.3/x",
    ):
        assert made.place(text).path == text
    for text in (
        f"{tmp_path}/a.exe",
        f"{tmp_path}/more-of-it",
        f"{tmp_path}/lists2/a",
        "/",
        "s3://third/x",
        "http://verdicts.example/w",
        "https://mirror.example/",
        "https://verdicts.example:8443/w",
        "https://10.1.2.3:22/x",
        "https://11.1.2.3/x",
        os.path.abspath("relative"),
    ):
        with pytest.raises(BadInputError):
            made.place(text)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("not an address", False),
    ],
)
def test_an_address_of_a_host(address: str, allowed: bool) -> None:
    assert Places().allows_address(address) == allowed


def test_an_address_that_is_listed_is_allowed() -> None:
    places = Places().adding(["http://127.0.0.1:8000/a", "http://[fd00::1]/a"])
    assert places.allows_address("127.0.0.1")
    assert places.allows_address("::ffff:127.0.0.1")
    assert places.allows_address("fd00::1")
    assert not places.allows_address("127.0.0.2")


def test_the_nearest_root_counts_and_its_own_links_are_its_owners(tmp_path: Path) -> None:
    names = garden(tmp_path)
    inside = names["{in}"]
    linked = Places().adding([inside, f"{inside}/link-to-out"])
    assert opened(linked, f"{inside}/link-to-out/secret.txt") in inodes(names["{out}"])
    single = Places().adding([f"{inside}/a.txt"])
    assert opened(single, f"{inside}/a.txt") in inodes(inside)
    with pytest.raises(BadInputError):
        opened(single, f"{inside}/sub/x:y.txt")


def test_a_walk_finds_files_alone(tmp_path: Path) -> None:
    names = garden(tmp_path)
    places = Places().adding([names["{in}"]])
    found = dict(places.walk(places.place(names["{in}"])))
    assert sorted(path.removeprefix(names["{in}"] + "/") for path in found) == sorted(
        set(TAKEN.values())
    )
    assert places.is_folder(places.place(names["{in}"]))
    assert not places.is_folder(places.place(f"{names['{in}']}/a.txt"))


def test_what_the_kernel_makes_up_is_no_file() -> None:
    """Wherever it is mounted: its name is not asked."""
    for path in (f"/proc/{os.getpid()}/environ", "/proc/uptime", "/sys/kernel/uevent_seqnum"):
        if os.path.exists(path):
            with pytest.raises(OSError, match="regular file"):
                beneath.open_file("/", path)
            with pytest.raises(BadInputError, match="not a file"):
                Places().adding(["/"]).place(path)
    with pytest.raises(OSError, match="regular file"):
        list(beneath.walk("/", "/proc"))


def swap(path: Path, to: Path) -> Callable[[], None]:
    def change() -> None:
        path.rename(path.with_name("away"))
        path.symlink_to(to)

    return change


def test_a_folder_that_becomes_a_link_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is looked at may change before it is opened."""
    names = garden(tmp_path)
    inside = Path(names["{in}"])
    (inside / "sub" / "secret.txt").write_text("ours")
    change = swap(inside / "sub", Path(names["{out}"]))
    look, done = os.stat, []

    def late(path: object, **how: object) -> os.stat_result:
        found = look(path, **how)  # type: ignore[call-overload]
        if path == "sub" and not done:
            done.append(change())
        return found

    monkeypatch.setattr(os, "stat", late)
    with pytest.raises(OSError, match=r"directory|symbolic"):
        beneath.open_file(str(inside), f"{inside}/sub/secret.txt")
    assert done


def test_what_a_person_types_begins_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("a/../b") == f"{tmp_path}/b"
    assert absolute("~/x") == os.path.expanduser("~/x")
    for text in ("", "/a/../b", "s3://b/../c", "zip::a", "a\0b"):
        assert absolute(text) == text
