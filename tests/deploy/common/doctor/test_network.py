"""The network of a machine that does not reach itself, asks a dumb server for names, or is behind a proxy."""

from __future__ import annotations

import pytest

from deploy.common.doctor import network
from tests.deploy.common.doctor.apart import ask, needs_root

pytestmark = pytest.mark.fast

# `ip` may not be installed.
_LOOPBACK_UP = """
import fcntl, struct
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x1))
"""
# A name server that hears, and never answers.
_DUMB_SERVER = """
Path("/tmp/resolv.conf").write_text("nameserver 127.0.0.2\\n")
Path("/tmp/nsswitch.conf").write_text("hosts: dns\\n")
for name in ("resolv.conf", "nsswitch.conf"):
    subprocess.run(["mount", "--bind", f"/tmp/{name}", f"/etc/{name}"], check=True)
dumb = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
dumb.bind(("127.0.0.2", 53))
socket.sethostname("doctor-test")
"""


def test_this_machine_reaches_itself():
    assert network.loopback().status == "ok"
    assert network.own_name().status in ("ok", "warn")


@needs_root
def test_a_machine_that_does_not_reach_itself():
    found = ask("network.loopback()", unshare=("--net",))
    assert (found.status, found.do) == ("wrong", "As root: ip link set lo up")
    assert ask("network.loopback()", _LOOPBACK_UP, unshare=("--net",)).status == "ok"


@needs_root
def test_a_name_whose_look_up_takes_long():
    first = f"mount('/tmp', 'size=1m')\n{_LOOPBACK_UP}\n{_DUMB_SERVER}"
    found = ask("network.own_name()", first, unshare=("--net", "--mount", "--uts"))
    assert found.status == "warn"
    assert "name, doctor-test, takes more than 1 s" in found.what
    assert found.do == "As root: echo '127.0.1.1 doctor-test' >> /etc/hosts"


WRONG = [
    {"all_proxy": "socks5://127.0.0.1:1080", "no_proxy": "127.0.0.1,localhost"},
    {"ALL_PROXY": "socks5h://127.0.0.1:1080"},
    {"https_proxy": "ftp://proxy:3128"},
    {"http_proxy": "http://proxy:none"},
]
RIGHT = [
    {},
    {"http_proxy": "proxy:3128", "HTTPS_PROXY": "http://user:p@ss@proxy:3128"},
    {"http_proxy": "http://[::1]:3128", "no_proxy": "::1,.example.org,10.0.0.0/8, *.example.org"},
    {"all_proxy": "socks5://127.0.0.1:1080", "no_proxy": "*"},
    {"all_proxy": "", "ALL_PROXY": "socks5://127.0.0.1:1080"},
]


@pytest.mark.parametrize("shell", WRONG, ids=str)
def test_proxies_that_break_every_task(shell: dict[str, str]):
    found = network.proxies(shell)
    assert found.status == "wrong"
    assert "unset " in found.do


@pytest.mark.parametrize("shell", RIGHT, ids=str)
def test_proxies_that_are_in_nobodys_way(shell: dict[str, str]):
    assert network.proxies(shell).status == "ok"


@pytest.mark.parametrize("shell", [*WRONG, *RIGHT], ids=str)
def test_the_client_of_airflows_tasks_agrees(
    shell: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    httpx = pytest.importorskip("httpx")
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    if network.proxies(shell).status == "ok":
        httpx.Client().close()
    else:
        with pytest.raises((ImportError, ValueError, httpx.InvalidURL)):
            httpx.Client()
