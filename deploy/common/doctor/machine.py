"""Checks of the machine: its kind, its Python, memory, cores, processes and clock."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.common import cgroups
from deploy.common.doctor.finding import Answer, ok, warn, wrong

_GB = 1e9
# What adjtimex(2) answers if nothing keeps the clock.
_TIME_ERROR = 5


def system() -> Answer:
    """The kinds of machine for which the locked packages are there, and the code was tried."""
    machine = os.uname()
    kind = f"{machine.sysname} on {machine.machine}"
    if sys.platform != "linux":
        return wrong(
            f"{kind}: processes are looked up as only Linux shows them.",
            "Use a machine or a container of Debian 12.",
        )
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION")
    except ValueError:
        libc = None
    if not libc:
        return wrong(
            f"{kind} has no GNU libc, for which the locked packages are built.",
            "Use a machine or a container of Debian 12.",
        )
    if machine.machine != "x86_64":
        return warn(
            f"{kind}: all was tried on x86_64 only.", "Expect that packages have to be compiled."
        )
    return ok(f"{kind}, {libc}")


def python(needed: tuple[int, int]) -> Answer:
    """The interpreter that this runs under, which is the one that a virtual environment is made of."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] != needed:
        wanted = ".".join(map(str, needed))
        return wrong(
            f"{sys.executable} is Python {found}; the lock is for {wanted}.",
            f"Name another one: make PYTHON=/usr/bin/python{wanted} ...",
        )
    return ok(f"{found}, {sys.executable}")


def memory(needed_gb: float, whose: str) -> Answer:
    """What a program could get now, within the limits of a container too."""
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    bound = cgroups.memory()
    inside = bound is not None and bound < free
    room = bound if bound is not None and inside else free
    what = f"{room / _GB:.1f} GB available{' within the limit of this container' if inside else ''}"
    if room < needed_gb * _GB:
        return warn(
            f"{what}; {whose} takes about {needed_gb:g} GB. If there is no more, the kernel kills its processes.",
            "Raise the limit, or stop what else takes memory."
            if inside
            else "Stop what else takes memory, or use a larger machine.",
        )
    return ok(what)


def cores(needed: int = 2) -> Answer:
    """Cores that may be used, which can be fewer than there are."""
    usable = cgroups.usable_cores()
    there = os.cpu_count() or usable
    what = f"{usable} of {there}" if usable != there else str(usable)
    if usable < needed:
        return warn(
            f"{what} may be used; a start and an update were measured with {needed}.",
            "Expect them to take twice as long, or give this more cores.",
        )
    return ok(what)


def processes(needed: int) -> Answer:
    """How many processes may be started; their threads count."""
    rooms = []
    if (bound := cgroups.processes()) is not None:
        rooms.append((bound, "of this container (pids.max)"))
    most = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    # It does not hold for root.
    if most != resource.RLIM_INFINITY and os.geteuid() != 0:
        rooms.append((max(0, most - _own_threads()), "of this user (`ulimit -u`)"))
    room, whose = min(rooms, default=(None, ""))
    if room is not None and room < needed:
        return wrong(
            f"The limit {whose} leaves {room} more processes and threads; {needed} are needed.",
            "Raise that limit.",
        )
    return ok("no limit" if room is None else f"{room} more may be started")


def shared_memory() -> Answer:
    """The folder of the locks that processes share; minimal containers and chroots lack it."""
    folder = Path("/dev/shm")  # noqa: S108 - the kernel's name for it
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return wrong(
            f"{folder} is missing or cannot be written, so Python's processes cannot share a lock.",
            f"As root: mkdir -p {folder} && mount -t tmpfs -o mode=1777 tmpfs {folder}",
        )
    return ok(f"{folder} can be written")


def clock(code: Path, corpus: Path) -> Answer:
    """Whether the clock is behind something that was there before.

    :param code: a file of this code. Its time may be that of another machine, so a day is allowed for.
    :param corpus: the folder of a corpus, which may not exist.
    """
    now = datetime.now(UTC)
    cure = (
        "Set the clock: `timedatectl set-ntp true`, or `date -u -s 'YYYY-MM-DD hh:mm:ss'`, as root."
    )
    made = datetime.fromtimestamp(code.stat().st_mtime, UTC)
    if now < made - timedelta(days=1):
        return wrong(
            f"The clock says {now:%Y-%m-%d %H:%M} UTC, and this code is of {made:%Y-%m-%d %H:%M}.", cure
        )  # fmt: skip
    last = _last_snapshot(corpus)
    if last and now < last - timedelta(minutes=1):
        return wrong(
            f"The clock says {now:%Y-%m-%d %H:%M} UTC, and the last snapshot in {corpus} was published at "
            f"{last:%Y-%m-%d %H:%M}: the next one would seem to be the older one.",
            cure,
        )
    return ok(f"{now:%Y-%m-%d %H:%M} UTC")


def kept_clock() -> Answer:
    """Whether a program keeps the clock right, as the kernel was told by it."""
    # With `modes` 0 it only asks; the structure is 208 bytes long.
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(256)) == _TIME_ERROR:
        return warn(
            "Nothing keeps this clock; hosts of a cluster must have the same time.",
            "Install chrony or systemd-timesyncd, unless the machine below this one keeps the time.",
        )
    return ok("kept by NTP")


def _own_threads() -> int:
    count = 0
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                if process.stat().st_uid == os.geteuid():
                    count += len(os.listdir(process / "task"))
            except OSError:
                continue
    return count


def _last_snapshot(corpus: Path) -> datetime | None:
    """When the last snapshot below a folder was published; None if that is not known."""
    try:
        newest = max((corpus / "snapshots" / "log").glob("*.json"), default=None)
        if newest is None:
            return None
        return datetime.fromisoformat(json.loads(newest.read_text())["created_at"])
    except (OSError, ValueError, KeyError, TypeError):
        # What is wrong with the corpus, `corpus verify` says.
        return None
