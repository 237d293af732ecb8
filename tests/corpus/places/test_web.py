"""Web servers as sources: neither a name nor a redirect leads to a place that is not allowed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from corpus.errors import BadInputError
from corpus.places.places import Places
from corpus.sources.files import Files
from corpus.sources.listing import Patterns, SourceFile, Unreadable, list_files
from tests.support.spellings import SECRET

pytestmark = pytest.mark.fast


class _Handler(BaseHTTPRequestHandler):
    """Redirects `/to/URL`, has a page of links at `/list/`, and a file at any other path."""

    inside = ""

    def do_GET(self) -> None:
        content, kind = b"content of " + self.path.encode(), "application/octet-stream"
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            content = b""
        else:
            self.send_response(200)
        if self.path.rstrip("/") == "/list":
            kind = "text/html"
            content = (
                f'<a href="a.exe">a</a> <a href="/outside.exe">o</a> <a href="%2e%2e/b.exe">b</a>'
                f'<a href="{self.inside}/secret">s</a> <a href="/list/c.exe">c</a>'
            ).encode()
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


class _Inside(_Handler):
    """What nobody listed."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(SECRET)))
        self.end_headers()
        self.wfile.write(SECRET.encode())

    do_HEAD = do_GET  # noqa: N815


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[str, str]]:
    """Addresses of the server that is listed, and of the other."""
    made = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for handler in (_Handler, _Inside)]
    for server in made:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    listed, inside = (f"http://127.0.0.1:{server.server_port}" for server in made)
    _Handler.inside = inside
    yield listed, inside
    for server in made:
        server.shutdown()
        server.server_close()


def read(files: Files, url: str) -> bytes:
    (file,) = list_files(url, files, Patterns())
    assert isinstance(file, SourceFile)
    with files.open(file.location) as stream:
        return stream.read()


def test_a_listed_server_is_read_through_its_own_redirects(servers: tuple[str, str]) -> None:
    files = Files(Places().adding([f"{servers[0]}/"]))
    assert read(files, f"{servers[0]}/a.exe") == b"content of /a.exe"
    assert read(files, f"{servers[0]}/to//b.exe") == b"content of /b.exe"


@pytest.mark.parametrize(
    "target",
    [
        "{inside}/secret",
        "http://localhost:{port}/secret",
        "http://user@127.0.0.1:{port}/secret",
        "http://2130706433:{port}/secret",
        "http://[::ffff:127.0.0.1]:{port}/secret",
        "http://0x7f.1:{port}/secret",
        "//127.0.0.1:{port}/secret",
        "file:///etc/passwd",
        "ftp://127.0.0.1/secret",
        "http://169.254.169.254/latest/meta-data",
        "/to/{inside}/secret",
    ],
)
@pytest.mark.parametrize("how", ["list", "stat", "open"])
def test_a_redirect_elsewhere_is_refused(servers: tuple[str, str], target: str, how: str) -> None:
    _Inside.asked.clear()
    listed, inside = servers
    files = Files(Places().adding([f"{listed}/"]))
    port = inside.rpartition(":")[2]
    url = f"{listed}/to/{target.format(inside=inside, port=port)}"
    act = {
        "list": lambda: list(list_files(url, files, Patterns())),
        "stat": lambda: files.stat(url),
        "open": lambda: files.open(url).read(),
    }[how]
    with pytest.raises(BadInputError) as caught:
        act()
    assert SECRET not in str(caught.value)
    assert _Inside.asked == []


def test_a_name_that_leads_to_this_machine_is_refused(servers: tuple[str, str]) -> None:
    _Inside.asked.clear()
    port = servers[1].rpartition(":")[2]
    url = f"http://localhost:{port}/secret"
    files = Files(Places().adding([url]))
    with pytest.raises(BadInputError, match=r"places\.hosts"):
        list(list_files(url, files, Patterns()))
    with pytest.raises(BadInputError, match=r"places\.hosts"):
        files.open(url).read()
    assert _Inside.asked == []
    # Who lists the address, too, means it.
    both = Files(Places().adding([url, servers[1]]))
    with both.open(url) as stream:
        assert stream.read().decode() == SECRET


def test_a_page_lists_what_lies_below_it(servers: tuple[str, str]) -> None:
    files = Files(Places().adding([f"{servers[0]}/"]))
    found = list(list_files(f"{servers[0]}/list/", files, Patterns()))
    taken = sorted(file.location for file in found if isinstance(file, SourceFile))
    assert taken == [f"{servers[0]}/list/a.exe", f"{servers[0]}/list/c.exe"]
    assert all("%252e" in file.location for file in found if isinstance(file, Unreadable))
