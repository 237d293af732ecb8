"""Attempts to get out of a container, as hostile bytes that took over a parser would make them.

The same attempts in a container as the engine makes it by default succeed: see `LOOSE`.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import pytest

from operators.containers.spec import Bind
from tests.system.cluster.containers.world import URL, World

# Each in Python, with `refused` for what the kernel says no to.
ATTEMPTS = {
    "connect": """
import socket
socket.create_connection(("8.8.8.8", 53), timeout=3)
""",
    "resolve a name": """
import socket
socket.getaddrinfo("example.com", 80)
""",
    "see an interface": """
import socket
names = [name for _, name in socket.if_nameindex() if name != "lo"]
if not [name for name in names if name.startswith("eth")]:
    raise OSError("only loopback")
""",
    "open a raw socket": """
import socket
socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
""",
    "open a packet socket": """
import socket
socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
""",
    "write to the root": """
open("/intruder", "w")
""",
    "write to the code": """
import corpus
open(corpus.__file__, "a")
""",
    "run a file of /tmp": """
import os, shutil, subprocess
shutil.copy("/bin/true", "/tmp/true")
os.chmod("/tmp/true", 0o755)
subprocess.run(["/tmp/true"], check=True)
""",
    "become root": """
import os
os.setuid(0)
""",
    "mount": """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None):
    raise OSError(ctypes.get_errno(), "mount")
""",
    "remount the root": """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(None, b"/", None, 32, None):
    raise OSError(ctypes.get_errno(), "remount")
""",
    "make a user namespace": """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x10000000):
    raise OSError(ctypes.get_errno(), "unshare")
""",
    "make a device": """
import os
os.mknod("/tmp/disk", 0o60600, os.makedev(8, 0))
""",
    "read the kernel's log": """
open("/dev/kmsg").read(1)
""",
    "restart the host": """
open("/proc/sysrq-trigger", "w")
""",
    "set a kernel's parameter": """
open("/proc/sys/kernel/core_pattern", "w")
""",
    "write to its control group": """
import glob
files = glob.glob("/sys/fs/cgroup/memory/memory.limit_in_bytes") + glob.glob("/sys/fs/cgroup/memory.max")
open(files[0], "w")
""",
    "reach the engine": """
import socket
for path in ("/var/run/docker.sock", "/run/docker.sock"):
    socket.socket(socket.AF_UNIX).connect(path)
""",
    "see the host's processes": """
import glob
if len(glob.glob("/proc/[0-9]*")) < 20:
    raise OSError("only its own")
""",
    "leave a core file": """
import resource
resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
""",
}
# Makes each attempt in a process of its own, and prints how it went.
ALL = """
import json, subprocess, sys
attempts = json.loads(sys.argv[1])
for name, code in attempts.items():
    code = f"try:\\n exec({code!r})\\nexcept (OSError, ValueError):\\n print('refused')\\nelse:\\n print('got out')"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    print(name + ":", done.stdout.strip())
"""
# What root may do in a container as the engine makes it when nobody asks for less.
LOOSE = {"write to the root", "become root", "open a packet socket", "open a raw socket",
         "make a device", "run a file of /tmp", "write to the code",
         "see an interface"}  # fmt: skip


def outcomes(lines: list[str]) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def test_all_attempts_are_refused(world: World) -> None:
    seen: list[str] = []
    with world.containers(seen.append) as containers:
        code = json.dumps(ATTEMPTS)
        containers.run("run", world.spec("", entrypoint=["python", "-c", ALL], command=[code]))
    found = outcomes(seen[:-1])
    assert found == dict.fromkeys(ATTEMPTS, "refused")


def test_the_attempts_are_real_ones(world: World) -> None:
    """Otherwise a mistake in them would look like safety."""
    command = ["docker", "-H", URL, "run", "--rm", "--user", "0", "--entrypoint", "python"]
    chosen = {name: ATTEMPTS[name] for name in sorted(LOOSE)}
    done = subprocess.run(
        [*command, world.image, "-c", ALL, json.dumps(chosen)], capture_output=True, text=True
    )
    assert outcomes(done.stdout.splitlines()) == dict.fromkeys(chosen, "got out"), done.stderr


def test_a_setuid_binary_gives_nothing(world: World) -> None:
    folder = world.work / "setuid"
    folder.mkdir()
    make = "cp /usr/bin/id /made/id && chmod 4755 /made/id"
    plain = ["docker", "-H", URL, "run", "--rm", "--entrypoint"]
    bound = ["sh", "--user", "0", "--volume", f"{folder}:/made", world.image, "-c", make]
    subprocess.run([*plain, *bound], check=True)
    unhardened = ["/made/id", "--user", "50000", "--volume", f"{folder}:/made", world.image, "-u"]
    done = subprocess.run([*plain, *unhardened], check=True, capture_output=True, text=True)
    assert done.stdout == "0\n"

    seen: list[str] = []
    with world.containers(seen.append) as containers:
        spec = world.spec("/made/id -u", binds=[Bind(str(folder), "/made")])
        containers.run("run", spec)
    assert seen[0] == "50000"


def test_a_fork_bomb_is_bounded(world: World) -> None:
    """The host has processes to spare, and the container is gone afterwards."""
    code = """
import os, time
children = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        children += 1
except BlockingIOError:
    print("bounded", 20 < children < 64)
"""
    seen: list[str] = []
    with world.containers(seen.append) as containers:
        spec = world.spec("", entrypoint=["python", "-c", code], command=[])
        containers.run("run", replace(spec, limits=replace(spec.limits, pids=64)))
    assert seen[0] == "bounded True"
    assert world.nothing_left()


@pytest.mark.parametrize(
    "code",
    ["x = bytearray(2**30)", "open('/tmp/big', 'wb').write(b'x' * 2**27); x = bytearray(2**27)"],
    ids=["memory", "memory and /tmp"],
)
def test_a_memory_bomb_ends_the_container_only(world: World, code: str) -> None:
    seen: list[str] = []
    with world.containers(seen.append) as containers:
        ended = containers.run("run", world.spec("", entrypoint=["python", "-c", code], command=[]))
    assert (ended.exit_status, ended.out_of_memory) == (137, True)
    assert world.nothing_left()


def test_tmp_is_bounded(world: World) -> None:
    spec = world.spec("head -c 5000000 /dev/zero > /tmp/big; wc -c < /tmp/big")
    seen: list[str] = []
    with world.containers(seen.append) as containers:
        containers.run("run", replace(spec, limits=replace(spec.limits, tmpfs_bytes=2**20)))
    assert str(2**20) in seen


def test_what_is_bound_read_only_stays_as_it_is(world: World) -> None:
    file = world.work / "given" / "file"
    file.parent.mkdir(mode=0o777)
    file.parent.chmod(0o777)
    file.write_text("as it was")
    file.chmod(0o666)
    code = "open('/given/file', 'w')"
    for writable, content in ((False, "as it was"), (True, "")):
        with world.containers(print) as containers:
            bind = Bind(str(file.parent), "/given", writable=writable)
            spec = world.spec("", entrypoint=["python", "-c", code], command=[], binds=[bind])
            assert (containers.run("run", spec).exit_status == 0) == writable
        assert file.read_text() == content
